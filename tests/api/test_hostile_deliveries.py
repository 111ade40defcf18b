"""What a sender outside posts may be anything: nothing of it is a server error, and what is kept of it can be read."""

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base import OrgId
from tests.api.senders import EXAMPLES, Sender, keyed, sender
from tests.api.site import EVERY, Person, Site
from tests.database import FoundOrg
from tests.faults.report import FULL
from tests.unit.adapters.sources.requests import CASES, Case
from tests.unit.adapters.sources.test_hostile import HOSTILE, places

MARK = "hunter2"
EVERY_NTH = 1 if FULL else 19
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
    "a key twice": b'{"hunter2": 1, "hunter2": "b"}',
    "forty lists deep": b"[" * 40 + b'"hunter2"' + b"]" * 40,
    "ten thousand lists deep": b"[" * 10_000 + b"]" * 10_000,
    "five hundred labels": json.dumps({f"hunter2{number}": "v" * 300 for number in range(500)}).encode(),
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
COUNT = text("select count(*) from signals where org_id = :org")
LATEST = text("select source, key, ts, text, labels, payload from signals where org_id = :org order by id desc limit :most")
MOST = max(len(each.parse().signals) for each in CASES)
"""How many signals one of these requests may hold."""
PROTOBUF = [each for each in CASES if "protobuf" in each.name]


@pytest_asyncio.fixture(scope="module")
async def reader(site: Site, found_org: FoundOrg) -> Person:
    """Somebody of the org that all of these senders send to."""
    return await site.person(await found_org(), *EVERY)


@pytest_asyncio.fixture(scope="module")
async def senders(site: Site, reader: Person) -> dict[str, Sender]:
    return {kind: await sender(site, reader, kind) for kind in EXAMPLES}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("kind", EXAMPLES)
async def test_a41_a_hostile_value_anywhere_in_a_delivery_does_no_harm(
    senders: dict[str, Sender], reader: Person, superuser: AsyncEngine, kind: str, name: str
) -> None:
    """It is refused, repeated nowhere and leaves nothing, or what is kept of it can be read back."""
    async with _harmless(senders[kind], reader, superuser) as kept:
        for body in _spoilt(kind, VALUES[name], nth=list(VALUES).index(name)):
            _check(await senders[kind].post(body), kept)


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_a41_a_body_that_is_nothing_of_its_kind_does_no_harm(
    senders: dict[str, Sender], reader: Person, superuser: AsyncEngine, kind: str
) -> None:
    """Another encoding, another format, another media type, cut off anywhere, packed and cut off: no server error."""
    whole = json.dumps(keyed(kind, json.loads(EXAMPLES[kind].body))).encode()
    packed = gzip.compress(whole)
    cut = [whole[: len(whole) * part // 8] for part in range(8)]
    async with _harmless(senders[kind], reader, superuser) as kept:
        for body in (*HOSTILE.values(), *cut, whole.decode().encode("utf-16"), b"\xef\xbb\xbf" + whole):
            _check(await senders[kind].post(body), kept)
        for media in ("text/plain", "application/x-protobuf", "application/json; charset=utf-16", "x/y; =;;", "", "a" * 4_000):
            _check(await senders[kind].post(whole, content_type=media), kept)
        bad = (packed[:-4], packed[:20], packed + packed, b"\x1f\x8b", whole)  # one of them each, for a refusal lingers
        refused = await senders[kind].post(bad[list(EXAMPLES).index(kind) % len(bad)], content_encoding="gzip")
        assert refused.status_code == 400
        _check(refused, kept)


@pytest.mark.parametrize("case", PROTOBUF, ids=str)
async def test_a41_protobuf_that_is_cut_or_damaged_does_no_harm(
    senders: dict[str, Sender], reader: Person, superuser: AsyncEngine, case: Case
) -> None:
    """At any byte: it is answered as an exporter is used to, whole, or with how much of it was rejected."""
    sending, whole = senders[case.kind], case.body
    async with _harmless(sending, reader, superuser) as kept:
        for at in range(0, len(whole), 1 if FULL else 61):
            for body in (whole[:at], whole[:at] + b"\xff\x00\x80" + whole[at + 3 :]):
                _check(await sending.post(body, content_type="application/x-protobuf"), kept)


@asynccontextmanager
async def _harmless(sending: Sender, reader: Person, superuser: AsyncEngine) -> AsyncIterator[list[int]]:
    """What was stored meanwhile is what the answers say, is readable, and nothing is repeated where it does not belong."""
    org = reader.caller.org
    before, kept = await _count(superuser, org), list[int]()
    yield kept
    fresh = await _count(superuser, org) - before
    log = await reader.get(f"/connectors/{sending.connector}/deliveries")
    assert fresh <= sum(kept)
    assert log.status_code == 200
    assert MARK not in log.text
    await _read_back(reader, superuser, min(fresh, 200))


async def _read_back(reader: Person, superuser: AsyncEngine, fresh: int) -> None:
    if not fresh:
        return
    answer = await reader.get(f"/events?limit={fresh}")
    assert answer.status_code == 200
    shown = answer.json()["items"]
    async with superuser.connect() as connection:
        rows = [row._mapping for row in await connection.execute(LATEST, {"org": reader.caller.org, "most": fresh})]
    assert [(each["source"], each["text"], each["labels"]) for each in shown] == [
        (row["source"], row["text"], row["labels"]) for row in rows
    ]
    assert all(2000 <= row["ts"].year < 2100 for row in rows)
    assert [each["payload"] for each in shown] == [row["payload"] for row in rows]


async def _count(superuser: AsyncEngine, org: OrgId) -> int:
    async with superuser.connect() as connection:
        return int(await connection.scalar(COUNT, {"org": org}))


def _check(answer: httpx2.Response, kept: list[int]) -> None:
    """No server error, and no word of what was refused; adds to `kept` how much may have been stored."""
    assert answer.status_code < 500, answer.text
    is_taken = answer.status_code < 300
    assert is_taken or MARK not in answer.text
    kept.append(MOST if is_taken else 0)


def _spoilt(kind: str, raw: bytes, *, nth: int) -> Iterator[bytes]:
    """The example with `raw` in one place instead of what is there."""
    root = [json.loads(EXAMPLES[kind].body)]
    for number, _ in enumerate(places(root)):
        if (number + nth) % EVERY_NTH == 0:
            spoilt: list[Any] = deepcopy(root)
            holder, name = places(spoilt)[number]
            holder[name] = "@hostile@"
            yield json.dumps(keyed(kind, spoilt[0])).encode().replace(b'"@hostile@"', raw)
