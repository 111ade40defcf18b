"""Batches of signals: every item is stored or refused on its own."""

import gzip
import json

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.site import Person
from tests.database import Tenant

STORED = text(
    "select kind, source, text, key, value, labels, meta, idempotency_key from signals where org_id = :org order by id"
)

EVERYTHING = text(
    "select to_jsonb(s) from signals s where org_id = :org union all select to_jsonb(k) from signal_keys k where org_id = :org"
)


async def stored(superuser: AsyncEngine, tenant: Tenant) -> list[dict]:
    async with superuser.connect() as connection:
        return [dict(row._mapping) for row in await connection.execute(STORED, {"org": tenant.org})]


async def send(someone: Person, body: bytes, **headers: str):
    sent = {"Content-Type": "application/x-ndjson"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await someone.call("POST", "/signals/ingest", content=body, headers=sent)


async def test_a_batch_of_every_kind_is_stored(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """Logs, metrics, events, deploys and executions come together, in their order."""
    kinds = ["log", "metric", "event", "deploy", "execution"]
    metric = {"kind": "metric", "key": "cpu", "value": 0.5, "labels": {"pod": "a"}, "meta": {"unit": "1"}, "source": "agent"}

    answer = await someone.post(
        "/signals/ingest", [metric if kind == "metric" else {"kind": kind, "text": kind} for kind in kinds]
    )

    assert (answer.status_code, answer.json()["stored"]) == (200, 5)
    rows = await stored(superuser, tenant)
    assert [row["kind"] for row in rows] == kinds
    assert rows[1] == metric | {"text": None, "idempotency_key": None}
    assert [each["event_id"] for each in answer.json()["items"]] == [
        each["event_id"] for each in reversed((await someone.get("/events")).json()["items"])
    ]


async def test_a_bad_item_is_refused_alone(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """207 names what is wrong with each bad item, by its place; the good ones are stored."""
    unknown = f"wfl_{'1' * 26}"
    items = [
        {"kind": "log", "text": "one"},
        {"kind": "poem"},
        {"kind": "log", "workflow_id": unknown},
        {"kind": "log", "text": "two"},
    ]

    answer = await someone.post("/signals/ingest", items)

    told = answer.json()
    assert (answer.status_code, told["stored"], told["refused"]) == (207, 2, 2)
    assert [each["status"] for each in told["items"]] == ["stored", "refused", "refused", "stored"]
    assert [each["errors"][0]["pointer"] for each in told["items"][1:3]] == ["/1/kind", "/2/workflow_id"]
    assert [row["text"] for row in await stored(superuser, tenant)] == ["one", "two"]


async def test_a_batch_of_bad_items_is_a_problem(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """422 when nothing is taken, so that a sender who looks at the status alone hears of it."""
    answer = await someone.post("/signals/ingest", [{"kind": "poem"}, {}])

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/0/kind", "/1/kind"]
    assert await stored(superuser, tenant) == []


async def test_a_known_item_is_a_duplicate(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """An `id` that came before, in an earlier batch or in this one, answers with the first signal's id."""
    first = (await someone.post("/signals/ingest", [{"kind": "log", "id": "a"}])).json()["items"][0]

    answer = (await someone.post("/signals/ingest", [{"kind": "log", "id": each} for each in ("b", "a", "b")])).json()

    assert [each["status"] for each in answer["items"]] == ["stored", "duplicate", "duplicate"]
    assert answer["items"][1]["event_id"] == first["event_id"]
    assert answer["items"][2]["event_id"] == answer["items"][0]["event_id"]
    assert [row["idempotency_key"] for row in await stored(superuser, tenant)] == ["a", "b"]


async def test_lines_are_a_batch(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """NDJSON, gzip or plain: a line that is no JSON is refused alone, an empty one is nothing."""
    lines = b'{"kind": "log", "text": "one"}\n\n{"kind": "log", "text": "\xff"}\nnonsense\n{"kind": "log", "text": "two"}\n'

    plain = await send(someone, lines)
    packed = await send(someone, gzip.compress(lines), Content_Encoding="gzip")

    for answer in (plain, packed):
        assert (answer.status_code, [each["status"] for each in answer.json()["items"]]) == (
            207,
            ["stored", "refused", "refused", "stored"],
        )
    assert [row["text"] for row in await stored(superuser, tenant)] == ["one", "two"] * 2


async def test_a_packed_body_is_bounded(someone: Person) -> None:
    """Too large is what unpacks to a huge one; malformed is what is no gzip, cut short or followed by something else."""
    huge = gzip.compress(b" " * (17 * 1024 * 1024))
    whole = gzip.compress(b'{"kind": "log"}')

    answers = [await send(someone, body, Content_Encoding="gzip") for body in (huge, b"nonsense", whole[:-4], whole + b"more")]

    assert [each.status_code for each in answers] == [413, 400, 400, 400]
    assert len(huge) < 100_000


async def test_no_other_route_takes_a_packed_body(someone: Person) -> None:
    """415 elsewhere, and for encodings that nobody asked for."""
    body = gzip.compress(json.dumps({"event_type": "x"}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert (await someone.call("POST", "/events", content=body, headers=headers)).status_code == 415
    assert (await send(someone, b"{}", Content_Encoding="br")).status_code == 415


async def test_too_many_items_are_refused(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """A batch has its bound, and above it nothing is stored."""
    answers = [await send(someone, line * 5_001) for line in (b'{"kind": "log"}\n', b"x\n", b"\n\n")]

    assert [each.status_code for each in answers] == [422] * 3
    assert await stored(superuser, tenant) == []


async def test_a_large_batch_is_stored_once_by_its_key(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """The answer to as many items as a batch may have is kept, so that a repeated request stores nothing more."""
    answers = [await send(someone, b'{"kind": "log"}\n' * 5_000, Idempotency_Key="once") for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert len(await stored(superuser, tenant)) == 5_000


async def test_a_secret_in_any_part_is_hidden(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """What is stored holds no credential, wherever in the signal it stood."""
    shown = "password=hunter2"
    item = {"kind": "log", "text": shown, "labels": {"a": shown}, "payload": {"b": [shown]}, "meta": {"c": {"d": shown}}}
    words = ("id", "source", "service", "environment", "severity", "correlation_id", "key", "event_type")

    assert (await someone.post("/signals/ingest", [item | dict.fromkeys(words, shown)])).status_code == 200
    async with superuser.connect() as connection:
        rows = [str(row) for row in await connection.execute(EVERYTHING, {"org": tenant.org})]
    assert len(rows) == 2
    assert "hunter2" not in "".join(rows)
