"""What a sender outside posts may be anything: nothing of it is a server error, and what is kept of it can be read."""

import gzip
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.senders import EXAMPLES, Sender, keyed, sender
from tests.api.site import EVERY, Person, Site
from tests.database import FoundOrg
from tests.faults.report import FULL, counted
from tests.unit.adapters.sources.requests import CASES, Case
from tests.unit.adapters.sources.test_hostile import HOSTILE, places

MARK = "hunter2"
EVERY_NTH = 1 if FULL else 61
"""Each value is put into every place of a request in the full run, into one of so many otherwise, others for each value."""
VALUES: dict[str, bytes] = {
    "an escaped NUL": rb'"hunter2\u0000"',
    "a NUL in a key": rb'{"hunter2\u0000": "hunter2\u0000"}',
    "half a character": rb'"hunter2\ud800"',
    "half a character in a key": rb'{"\udfff": "hunter2"}',
    "bytes of half a character": b'"hunter2\xed\xa0\x80"',
    "no UTF-8": b'"hunter2\xff\xfe"',
    "a raw NUL": b'"hunter2\x00"',
    "a raw line end": b'"hunter2\n"',
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e999": b"1e999",
    "-1e999": b"-1e999",
    "NaN as text": b'"NaN"',
    "int64 + 1": b"9223372036854775808",
    "uint64 + 1 as text": b'"18446744073709551616"',
    "-int64 - 1": b"-9223372036854775809",
    "4000 digits": b"9" * 4_000,
    "5000 digits": b"9" * 5_000,
    "a key twice": b'{"a": 1, "a": "hunter2"}',
    "forty lists deep": b"[" * 40 + b'"hunter2"' + b"]" * 40,
    "ten thousand lists deep": b"[" * 10_000 + b"]" * 10_000,
    "five hundred labels": json.dumps({f"l{number}": "hunter2" * 50 for number in range(500)}).encode(),
    "five hundred pairs": json.dumps([{"key": f"k{n}", "value": {"stringValue": "hunter2"}} for n in range(500)]).encode(),
    "a line of a megabyte": b'"' + b"hunter2 " * 2**17 + b'"',
    "the year 1": b'"0001-01-01T00:00:00+14:00"',
    "the year 9999": b'"9999-12-31T23:59:59.999999999-14:00"',
    "the year 10000": b'"10000-01-01T00:00:00Z"',
    "a time before 1970": b"-62135596801",
    "nanoseconds before 1970": b'"-1"',
    "no time at all": b'"2026-02-30T25:61:61+99:99"',
    "letters that hide": rb'"\u202ehunter2\u200b\u001b[31m\r\n"',
    "nothing": b"null",
    "an empty text": b'""',
    "an empty object": b"{}",
    "a lie": b"false",
}
SEED = 20_261_127
MUTANTS = counted(120)
INSERTED = (b"\x00", b"\xff", b"{", b"[", b'"', b"\\u0000", b"\\ud800", b"1e999", b"NaN", b",", b"-", b"9" * 400, b"\x80" * 12)
COUNT = text("select count(*) from signals where org_id = :org")
LATEST = text("select source, ts, text, labels, payload from signals where org_id = :org order by id desc limit :most")
PROTOBUF = [each for each in CASES if "protobuf" in each.name]


@pytest_asyncio.fixture(scope="module")
async def reader(site: Site, found_org: FoundOrg) -> Person:
    """Somebody of the org that all of these senders send to."""
    return await site.person(await found_org(), *EVERY)


@pytest_asyncio.fixture(scope="module")
async def senders(site: Site, reader: Person) -> dict[str, Sender]:
    return {kind: await sender(site, reader, kind) for kind in EXAMPLES}


@pytest.fixture
def watch(reader: Person, superuser: AsyncEngine) -> "Watch":
    return Watch(reader, superuser)


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_a41_a_hostile_value_anywhere_in_a_delivery_does_no_harm(
    senders: dict[str, Sender], watch: "Watch", kind: str
) -> None:
    """It is refused, repeated nowhere and leaves nothing, or what is kept of it can be read back."""
    async with watch.over(senders[kind]):
        for nth, name in enumerate(VALUES):
            for body in _spoilt(kind, VALUES[name], nth=nth):
                await watch.check(await senders[kind].post(body), name)


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_a41_a_body_that_is_nothing_of_its_kind_does_no_harm(
    senders: dict[str, Sender], watch: "Watch", kind: str
) -> None:
    """Another encoding, another format, another media type, cut off anywhere, packed and cut off: no server error."""
    whole = json.dumps(keyed(kind, json.loads(EXAMPLES[kind].body))).encode()
    packed = gzip.compress(whole)
    cut = {f"cut at {part}/8": whole[: len(whole) * part // 8] for part in range(8)}
    coded = {"all UTF-16": whole.decode().encode("utf-16"), "a whole one after a mark": b"\xef\xbb\xbf" + whole}
    async with watch.over(senders[kind]):
        for name, body in (HOSTILE | cut | coded).items():
            await watch.check(await senders[kind].post(body), name)
        for media in ("text/plain", "application/x-protobuf", "application/json; charset=utf-16", "x/y; =;;", "", "a" * 4_000):
            await watch.check(await senders[kind].post(whole, content_type=media), media)
        bad = (packed[:-4], packed[:20], packed + b"x", b"\x1f\x8b", whole)  # one of them each, for a refusal lingers
        refused = await senders[kind].post(bad[list(EXAMPLES).index(kind) % len(bad)], content_encoding="gzip")
        await watch.check(refused, "gzip")
    assert refused.status_code == 400


@pytest.mark.parametrize("case", PROTOBUF, ids=str)
async def test_a41_protobuf_that_is_cut_or_damaged_does_no_harm(senders: dict[str, Sender], watch: "Watch", case: Case) -> None:
    """At any byte: it is answered as an exporter is used to, whole, or with how much of it was rejected."""
    sending, whole = senders[case.kind], case.body
    async with watch.over(sending):
        for at in range(0, len(whole), 1 if FULL else 61):
            for body in (whole[:at], whole[:at] + b"\xff\x00\x80" + whole[at + 3 :]):
                await watch.check(await sending.post(body, content_type="application/x-protobuf"), f"at {at}")


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a41_a_damaged_delivery_does_no_harm(senders: dict[str, Sender], watch: "Watch", case: Case) -> None:
    """Real requests of which bytes were turned over, lost, doubled or put in, signed as if they were whole."""
    dice, sending = random.Random(f"{SEED} {case}"), replace(senders[case.kind], example=case)
    async with watch.over(sending):
        for number in range(MUTANTS):
            await watch.check(await sending.post(_damaged(case.body, dice)), f"mutant {number} of {case}, seed {SEED}")


class Watch:
    """Knows what is stored of the org, and so whether a refused delivery has left anything."""

    def __init__(self, reader: Person, superuser: AsyncEngine) -> None:
        self._reader, self._superuser = reader, superuser
        self._stored = 0

    @asynccontextmanager
    async def over(self, sending: Sender) -> AsyncIterator[None]:
        """Whatever is stored meanwhile can be read afterwards, and the log of deliveries repeats nothing."""
        before = self._stored = await self._count()
        yield
        fresh = await self._count() - before
        log = await self._reader.get(f"/connectors/{sending.connector}/deliveries?limit=200")
        assert (log.status_code, MARK in log.text) == (200, False)
        if fresh:
            await self._read_back(min(fresh, 200))

    async def check(self, answer: httpx2.Response, name: str) -> None:
        """No server error; what is refused is not repeated and not stored."""
        assert answer.status_code < 500, name
        stored = await self._count()
        if answer.status_code >= 300:
            assert (stored, MARK in answer.text) == (self._stored, False), name
        self._stored = stored

    async def _count(self) -> int:
        async with self._superuser.connect() as connection:
            return int(await connection.scalar(COUNT, {"org": self._reader.caller.org}))

    async def _read_back(self, most: int) -> None:
        answer = await self._reader.get(f"/events?limit={most}")
        assert answer.status_code == 200
        async with self._superuser.connect() as connection:
            rows = [row._mapping for row in await connection.execute(LATEST, {"org": self._reader.caller.org, "most": most})]
        kept = [(row["source"], row["text"], row["labels"], row["payload"]) for row in rows]
        shown = [(each["source"], each["text"], each["labels"], each["payload"]) for each in answer.json()["items"]]
        assert shown == kept
        assert all(2000 <= row["ts"].year < 2100 for row in rows)


def _damaged(body: bytes, dice: random.Random) -> bytes:
    content = bytearray(body)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(content) + 1)
        match dice.choice(("turn", "lose", "double", "put")):
            case "turn" if at < len(content):
                content[at] ^= dice.randint(1, 255)
            case "lose":
                del content[at : at + dice.randint(1, 40)]
            case "double":
                content[at:at] = content[at : at + dice.randint(1, 400)]
            case _:
                content[at:at] = dice.choice(INSERTED)
    return bytes(content)


def _spoilt(kind: str, raw: bytes, *, nth: int) -> Iterator[bytes]:
    """The example with `raw` in one place instead of what is there."""
    root = [json.loads(EXAMPLES[kind].body)]
    for number, _ in enumerate(places(root)):
        if (number + nth) % EVERY_NTH == 0:
            spoilt: list[Any] = deepcopy(root)
            holder, name = places(spoilt)[number]
            holder[name] = "@hostile@"
            yield json.dumps(keyed(kind, spoilt[0])).encode().replace(b'"@hostile@"', raw)
