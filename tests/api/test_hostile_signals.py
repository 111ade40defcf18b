"""What is posted as signals and events may be anything, too: a bad line is refused alone, the rest is kept as it was sent."""

import gzip
import json
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.operations import ALL, Operation, name_of
from tests.api.site import Incident, Person, Site
from tests.api.test_batches import stored
from tests.api.test_hostile_deliveries import VALUES
from tests.database import Tenant

MARK = "hunter2"
BATCHES = ("/signals/ingest", "/monitoring/ingest")
GOOD = {"kind": "log", "text": "before"}, {"kind": "log", "text": "after"}
UNREADABLE = {
    "cut off": b'{"kind": "log", "text": "hunter2"',
    "two on a line": b'{"kind": "log"} {"kind": "log", "text": "hunter2"}',
    "UTF-16": '{"kind": "log", "text": "hunter2"}'.encode("utf-16-le"),
    "a byte-order mark": b'\xef\xbb\xbf{"kind": "log", "text": "hunter2"}',
    "a list": b'[{"kind": "log", "text": "hunter2"}]',
    "a text": b'"hunter2"',
    "single quotes": b"{'kind': 'hunter2'}",
    "ten thousand objects deep": b'{"payload":' * 10_000,
    "another field": b'{"kind": "log", "org_id": "hunter2"}',
    "a word for a number": b'{"kind": "metric", "key": "a", "value": "hunter2"}',
}
FIELDS = ("source", "ts", "event_type", "key", "value", "text", "severity", "trace_id", "labels", "payload", "meta", "id")
AGES: dict[str, str] = {
    "the year 1": "0001-01-01T00:00:00Z",
    "the year 1, eastwards": "0001-01-01T00:00:00+14:00",
    "the year 9999, westwards": "9999-12-31T23:59:59-14:00",
    "before 1970": "1969-12-31T23:59:59Z",
    "no zone": "2026-11-01T10:00:00",
    "no such day": "2026-02-30T10:00:00Z",
}
UNSAFE = [each for each in ALL if each.method in {"post", "put", "patch", "delete"}]
SMALL = [each for each in UNSAFE if f"{each.path.removeprefix('/api/v1')}" not in {*BATCHES, "/pipelines"}]


async def send(someone: Person, path: str, *lines: bytes, media: str = "application/x-ndjson", **headers: str):
    sent = {"Content-Type": media} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await someone.call("POST", path, content=b"\n".join(lines), headers=sent)


def between(line: bytes) -> list[bytes]:
    """The line among good ones."""
    return [json.dumps(GOOD[0]).encode(), line, json.dumps(GOOD[1]).encode()]


async def texts(superuser: AsyncEngine, tenant: Tenant) -> list[Any]:
    return [row["text"] for row in await stored(superuser, tenant)]


@pytest.mark.parametrize("path", BATCHES)
async def test_a41_an_unreadable_line_is_refused_alone(
    someone: Person, tenant: Tenant, superuser: AsyncEngine, path: str
) -> None:
    """207, with the place of the line and no word of it; the lines around it are stored."""
    for name, line in UNREADABLE.items():
        answer = await send(someone, path, *between(line))
        assert answer.status_code == 207, name
        assert [each["status"] for each in answer.json()["items"]] == ["stored", "refused", "stored"], name
        assert MARK not in answer.text
    assert await texts(superuser, tenant) == ["before", "after"] * len(UNREADABLE)


@pytest.mark.parametrize("name", VALUES)
async def test_a41_a_hostile_value_in_any_field_of_a_signal_is_refused_or_kept_as_it_is(
    someone: Person, tenant: Tenant, superuser: AsyncEngine, name: str
) -> None:
    """Each field in a line of its own: no server error, nothing of a refused line is repeated, the rest can be read back."""
    usual = b'{"kind": "metric", "%s": ' % b"@" + VALUES[name] + b"}"
    lines = [usual.replace(b"@", field.encode()) for field in FIELDS]
    nested = [b'{"kind": "log", "labels": {"a": %b}}' % VALUES[name], b'{"kind": "log", "payload": {"a": [%b]}}' % VALUES[name]]

    answer = await send(someone, BATCHES[0], *lines, *nested)

    told = answer.json()
    assert answer.status_code in {200, 207, 400, 413, 422}
    assert MARK not in answer.text
    shown = await someone.get("/events")
    assert shown.status_code == 200
    assert len(shown.json()["items"]) == told.get("stored", 0) == len(await stored(superuser, tenant))


@pytest.mark.parametrize("name", VALUES)
async def test_a41_a_hostile_value_in_an_event_is_refused_or_kept_as_it_is(someone: Person, name: str) -> None:
    """What is taken is shown as it was sent, and what is refused is repeated nowhere."""
    for field in ("payload", "labels", "text", "occurred_at", "idempotency_key", "event_type"):
        value = b'{"a": %b}' % VALUES[name] if field in {"payload", "labels"} else VALUES[name]
        body = b'{"event_type": "x", "%b": %b}' % (field.encode(), value)
        if field == "event_type":
            body = b'{"event_type": %b}' % value
        answer = await send(someone, "/events", body, media="application/json")
        assert answer.status_code in {200, 201, 400, 413, 422}, field
        if answer.is_success:
            shown = (await someone.get(answer.headers["location"])).json()
            assert field not in {"payload", "labels", "text", "idempotency_key"} or shown[field] == json.loads(value)
        else:
            assert MARK not in answer.text


@pytest.mark.parametrize("path", BATCHES)
async def test_a41_a_time_that_no_clock_shows_is_refused_alone(
    someone: Person, tenant: Tenant, superuser: AsyncEngine, path: str
) -> None:
    """Years that the database or a time zone cannot hold, times before there were any, and numbers."""
    times = [*AGES.values(), -1, -62_135_596_801, 2**63 - 1, "-1"]
    lines = [json.dumps({"kind": "log", "ts": each}).encode() for each in times]

    answer = await send(someone, path, *between(b"\n".join(lines)))

    assert answer.status_code == 207
    assert [each["errors"][0]["pointer"] for each in answer.json()["items"][1:-1]] == [
        f"/{index}/ts" for index in range(1, len(times) + 1)
    ]
    assert await texts(superuser, tenant) == ["before", "after"]


@pytest.mark.parametrize("path", BATCHES)
async def test_a41_lines_of_a_megabyte_and_five_hundred_labels_are_refused_alone(
    someone: Person, tenant: Tenant, superuser: AsyncEngine, path: str
) -> None:
    """A text longer than a signal's, more labels than it may have: the others are stored, within the same second."""
    long = json.dumps({"kind": "log", "text": "x" * 2**20}).encode()
    many = json.dumps({"kind": "log", "labels": {f"l{number}": "v" for number in range(500)}}).encode()

    answer = await send(someone, path, *between(b"\n".join([long, many] * 5)))

    assert (answer.status_code, answer.json()["stored"], answer.json()["refused"]) == (207, 2, 10)
    assert len(answer.content) < 20_000
    assert await texts(superuser, tenant) == ["before", "after"]


@pytest.mark.parametrize("path", BATCHES)
async def test_a41_a_packed_batch_that_is_cut_off_leaves_nothing(
    someone: Person, tenant: Tenant, superuser: AsyncEngine, path: str
) -> None:
    """Lines that could be read before the cut are not stored either."""
    packed = gzip.compress(b"\n".join(between(b'{"kind": "log", "text": "hunter2"}') * 500))

    answer = await send(someone, path, packed[: len(packed) // 2], Content_Encoding="gzip")

    assert (answer.status_code, MARK in answer.text) == (400, False)
    assert await texts(superuser, tenant) == []


@pytest.mark.parametrize("operation", UNSAFE, ids=name_of)
async def test_a41_a_body_of_another_media_type_is_refused_everywhere(site: Site, ours: Incident, operation: Operation) -> None:
    """415 for whatever a route does not take, and nothing is stored."""
    tenant = Tenant(org=ours.by.caller.org, admin=ours.by.caller, token="")
    before, body = await site.audited(tenant), json.dumps(operation.body(ours.ids)).encode()

    for media in (
        "text/plain",
        "application/json; charset=utf-16",
        "application/x-protobuf",
        "multipart/form-data; boundary=x",
        "",
    ):
        answer = await ours.by.call(operation.method, operation.at(ours.ids), content=body, headers={"Content-Type": media})
        assert answer.status_code == 415, media

    assert await site.audited(tenant) == before


async def test_a41_a_packed_body_is_refused_where_nobody_asked_for_one(ours: Incident) -> None:
    """415 on a route of every other kind, before it is unpacked."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for operation in (SMALL[0], SMALL[-1]):  # each refusal lingers for a moment
        answer = await ours.by.call(operation.method, operation.at(ours.ids), content=gzip.compress(b"{}"), headers=headers)
        assert answer.status_code == 415
