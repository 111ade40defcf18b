"""The live story of an incident: in order, resumable, bounded, and over when the caller may not read on."""

from datetime import timedelta

import pytest

from api.errors import BusyError
from api.streams import Event, Streams
from domain.errors import UnauthenticatedError
from tests.api.site import Person


async def _opened(person: Person) -> str:
    return str((await person.post("/incidents/open", {"title": "slow", "service": "shop"})).headers["location"])


def _ids(text: str) -> list[int]:
    return [int(line.removeprefix("id: ")) for line in text.splitlines() if line.startswith("id: ")]


async def test_the_stream_is_the_timeline(someone: Person) -> None:
    """Each event has its audit seq as id and its act as kind."""
    where = await _opened(someone)
    streamed = await someone.get(f"{where}/stream")
    timeline = (await someone.get(f"{where}/timeline")).json()["items"]

    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert _ids(streamed.text) == [each["seq"] for each in timeline]
    assert "event: incident.opened" in streamed.text


async def test_the_stream_shows_what_happens_meanwhile() -> None:
    """What comes while the stream is open is in it, and silence is broken now and then."""
    streams = Streams(every=timedelta(milliseconds=1), alive=timedelta(), lasts=timedelta(seconds=30))
    said = iter([[], [], [Event(id=5, kind="incident.resolved", data="{}")]])

    async def follow(after: int) -> list[Event]:
        if after == 5:
            raise UnauthenticatedError("over")
        return next(said)

    text = "".join([str(part) async for part in streams.serve(follow, [], 4).body_iterator])
    assert text.index(": still here") < text.index("id: 5\nevent: incident.resolved\ndata: {}\n\n")


async def test_a_stream_goes_on_after_the_last_event_seen(someone: Person) -> None:
    """Last-Event-ID is an audit seq."""
    where = await _opened(someone)
    first = _ids((await someone.get(f"{where}/stream")).text)
    await someone.patch(where, {"status": "resolved"})
    later = await someone.get(f"{where}/stream", headers={"Last-Event-ID": str(first[-1])})

    assert all(each > first[-1] for each in _ids(later.text))
    assert "event: incident.resolved" in later.text
    assert "event: incident.opened" not in later.text


@pytest.mark.parametrize("seen", ["-1", "x", "9223372036854775808", "1;2"])
async def test_a_last_event_that_is_none_is_refused(someone: Person, seen: str) -> None:
    """422 names the header."""
    where = await _opened(someone)
    response = await someone.get(f"{where}/stream", headers={"Last-Event-ID": seen})

    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "header:Last-Event-ID")


async def test_a09_a_stream_ends_when_its_token_is_revoked() -> None:
    """The next look is refused, and the stream is over without an error."""
    streams = Streams(every=timedelta(milliseconds=1), lasts=timedelta(seconds=30))

    async def follow(after: int) -> list[Event]:
        if after == 2:
            raise UnauthenticatedError("revoked")
        return [Event(id=after + 1, kind="x", data="{}")]

    parts = [part async for part in streams.serve(follow, [], 0).body_iterator]
    assert _ids("".join(str(part) for part in parts)) == [1, 2]


async def test_there_is_a_most_of_streams() -> None:
    """One more is told to come back."""
    streams = Streams(most=1, every=timedelta(milliseconds=1), lasts=timedelta(seconds=30))

    async def follow(after: int) -> list[Event]:
        return []

    body = streams.serve(follow, [], 0).body_iterator
    await anext(aiter(body))

    with pytest.raises(BusyError):
        streams.serve(follow, [], 0)
    await body.aclose()  # type: ignore[attr-defined]
    streams.serve(follow, [], 0)
