"""No body does harm: what no route asked for is refused, what is hostile never reaches a handler, nothing is stored."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import column, func, select, table, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.audit import AuditFilter
from tests.api.operations import ALL, WITH_BODY, Operation, name_of
from tests.api.site import Incident, Person, Site, everything, spec
from tests.database import FoundOrg, Tenant

MARK = "hunter2"
BROKEN: dict[str, bytes] = {
    "nul": rb'{"name": "hunter2\u0000"}',
    "nul in key": rb'{"hunter2\u0000": 1}',
    "raw nul": b'{"name": "hunter2\x00"}',
    "lone surrogate": rb'{"title": "hunter2\ud800"}',
    "surrogate in label": rb'{"labels": {"a": "\udc00hunter2"}}',
    "surrogate bytes": b'{"name": "hunter2\xed\xa0\x80"}',
    "nan": b'{"per_minute": NaN, "x": "hunter2"}',
    "nan in label": b'{"labels": {"a": NaN}, "x": "hunter2"}',
    "infinity": b'{"labels": {"a": [1, -Infinity]}, "x": "hunter2"}',
    "1e999": b'{"per_minute": 1e999, "x": "hunter2"}',
    "int64 + 1": b'{"per_minute": 9223372036854775808, "x": "hunter2"}',
    "5000 digits": b'{"x": "hunter2", "per_minute": ' + b"9" * 5_000 + b"}",
    "duplicate key": b'{"name": "a", "name": "hunter2"}',
    "utf-16": '{"name": "hunter2"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"name": "hunter2"}',
    "latin-1": b'{"name": "hunter2\xe9"}',
    "too deep": b'{"payload": ' + b"[" * 40 + b"]" * 40 + b"}",
    "truncated": b'{"name": "hunter2"',
    "two documents": b'{"name": "hunter2"} {}',
    "only spaces": b"   ",
}
NO_INPUT = (
    "org_id",
    "org",
    "tenant_id",
    "id",
    "created_at",
    "approved_by",
    "approver",
    "requested_by",
    "decided_at",
    "version",
    "owner_id",
    "__proto__",
)
A_SENDERS_OWN = frozenset({("/api/v1/signals/ingest", "id"), ("/api/v1/monitoring/ingest", "id")})
"""An id by which a sender knows its signal again; it names nothing of ours."""
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0.5,
    2**63 - 1,
    -(2**63),
    1e308,
    "",
    "x" * 70_000,
    "\u202e\u200b\x1b[31m",
    "../../etc/passwd",
    "'; drop table orgs; --",
    "{{7*7}}",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    [],
    [[]] * 20,
    {},
    {"$ref": "#"},
    {"a": {"b": {"c": [1, 2, {"d": None}]}}},
)
TABLES = text(
    "select c.table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)"
    " where c.column_name = 'org_id' and t.table_type = 'BASE TABLE' and c.table_schema = 'public'"
    " and not exists (select from pg_inherits where inhrelid = c.table_name::regclass)"
)
KEPT_OF_REQUESTS = ("audit", "quota_", "idempotency")
PATCHES = tuple(each for each in WITH_BODY if each.method == "patch")


async def _send(person: Person, operation: Operation, ids: dict[str, str], body: bytes) -> Any:
    headers = {"Content-Type": "application/json"}
    return await person.call(operation.method, operation.at(ids), content=body, headers=headers)


@pytest.mark.parametrize("operation", [each for each in ALL if each.method in {"post", "put", "patch", "delete"}], ids=name_of)
async def test_a41_a_broken_body_is_refused_everywhere(site: Site, ours: Incident, operation: Operation) -> None:
    """400 with Problem+JSON, nothing echoed, nothing stored, on every unsafe operation with or without a body."""
    tenant = Tenant(org=ours.by.caller.org, admin=ours.by.caller, token="")
    before = await site.audited(tenant)

    answers = {name: await _send(ours.by, operation, ours.ids, body) for name, body in BROKEN.items()}

    assert {name: each.status_code for name, each in answers.items() if each.status_code != 400} == {}
    assert all(each.headers["content-type"] == "application/problem+json" for each in answers.values())
    assert not [name for name, each in answers.items() if MARK in each.text]
    assert await site.audited(tenant) == before


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
async def test_a41_an_odd_value_is_refused_or_taken(
    site: Site, found_org: FoundOrg, superuser: AsyncEngine, operation: Operation
) -> None:
    """Every field of a good body about the caller's own objects, at every depth, replaced by each odd value: no server error.

    What was refused is sent once more, and leaves neither a row nor an entry but that of a refusal.
    """
    tenant = await found_org()
    own = await everything(site, tenant)
    good = operation.body(own.ids) or {}
    refused = [bad for bad in _spoilt(good) if await _is_refused(own.by, operation, own.ids, bad)]
    rows, entries = await _rows(superuser, tenant), await site.audited(tenant)

    assert all([await _is_refused(own.by, operation, own.ids, bad) for bad in refused])

    assert await _rows(superuser, tenant) == rows
    assert [each for each in await _entered(site, tenant, entries) if not each.endswith(".refused")] == []
    assert (await _send(own.by, operation, own.ids, json.dumps(good).encode())).status_code != 404


@pytest.mark.parametrize("body", [b"[]", b"null", b'"hunter2"', b"0", b"true", b'[{"x": "hunter2"}]'])
@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
async def test_a41_a_body_that_is_no_object_is_refused(ours: Incident, operation: Operation, body: bytes) -> None:
    """422 with a problem, nothing echoed."""
    response = await _send(ours.by, operation, ours.ids, body)

    assert response.status_code == 422
    assert MARK not in response.text


@pytest.mark.parametrize("operation", WITH_BODY, ids=name_of)
async def test_a12_a18_a_field_that_is_no_input_is_refused(
    site: Site, ours: Incident, theirs: Incident, operation: Operation
) -> None:
    """No body takes an org, an id, a time or an approver; the answer names the field."""
    tenant = Tenant(org=ours.by.caller.org, admin=ours.by.caller, token="")
    before = await site.audited(tenant)
    good = operation.body(ours.ids) or {}

    for name in (each for each in NO_INPUT if (operation.path, each) not in A_SENDERS_OWN):
        more = {name: theirs.by.caller.org.shown}
        body, place = ([good[0] | more], f"/0/{name}") if isinstance(good, list) else (good | more, f"/{name}")
        response = await _send(ours.by, operation, ours.ids, json.dumps(body).encode())
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, place), response.text
    assert await site.audited(tenant) == before


@pytest.mark.parametrize("operation", PATCHES, ids=name_of)
async def test_a18_a_patch_moves_no_status_that_is_not_its_own(ours: Incident, operation: Operation) -> None:
    """`status` is refused, or takes only the words of that route."""
    good = operation.body(ours.ids) or {}
    for word in ("open", "approved_by_me", "verified", "executing", "granted"):
        body = {name: value for name, value in good.items() if name not in {"choice", "status"}} | {"status": word}
        response = await _send(ours.by, operation, ours.ids, json.dumps(body).encode())
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/status"), response.text


@pytest.mark.parametrize("where", ["spec", "stage"])
async def test_a12_an_org_inside_a_nested_part_is_refused(ours: Incident, theirs: Incident, where: str) -> None:
    """The inner parts of a body are as strict as the outer one."""
    body = copy.deepcopy(next(each for each in WITH_BODY if each.path.endswith("/pipelines")).body(ours.ids) or {})
    place = body["spec"] if where == "spec" else body["spec"]["stages"][0]
    place["org_id"] = theirs.by.caller.org.shown

    assert (await ours.by.post("/pipelines", body)).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "/executions?status=failed' or '1'='1",
        "/executions?pipeline_id=1 union select 1",
        "/executions?sort=id;drop table orgs",
        "/executions?order_by=(select 1)",
        "/executions?limit=1;drop table orgs",
        "/executions?limit=0",
        "/executions?limit=201",
        "/executions?limit=99999999999999999999",
        "/executions?offset=10",
        "/incidents?status=open&status[$ne]=x",
        "/incidents?labels=$.a ? (@ == 1)",
        "/audit-logs?cursor=' or 1=1 --",
        "/audit-logs?filter=$.**",
        "/audit-logs?actor_id=" + "x" * 300,
        "/events?incident_id=$.x",
        "/decisions?incident_id=inc_' or 1=1",
        "/audit-logs/9223372036854775808/proof",
        "/audit-logs/-1/proof",
        "/audit-logs/1 or 1=1/proof",
    ],
)
async def test_a34_sql_in_a_query_is_refused(ours: Incident, query: str) -> None:
    """Filters are typed, and there are no others."""
    assert (await ours.by.get(query)).status_code == 422


@pytest.mark.parametrize("word", ["' or '1'='1", "x'; drop table incidents; --", "%", "_", "\\", "*", "$$", "${jndi:ldap://x}"])
@pytest.mark.parametrize("path", ["/incidents?service=", "/audit-logs?action=", "/audit-logs?resource_id="])
async def test_a34_sql_in_a_text_filter_is_text(ours: Incident, path: str, word: str) -> None:
    """A free filter is compared as it is, and finds nothing."""
    name = path.partition("?")[2].removesuffix("=")
    response = await ours.by.get(path.partition("?")[0], params={name: word})

    assert (response.status_code, response.json()["items"]) == (200, [])


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../b", "a\\b", "a//b", ".", "a/.", "", "a\x01", "/".join("abcdefghijk"), "x" * 256]
)
async def test_code_stays_in_its_folder(someone: Person, path: str) -> None:
    """A path that leaves its folder, or could be read in two ways, is refused."""
    response = await someone.post("/pipelines", {"spec": spec("escape"), "code": {path: "eA=="}})

    assert response.status_code == 422
    assert (await someone.get("/pipelines")).json()["items"] == []


async def _is_refused(person: Person, operation: Operation, ids: dict[str, str], body: Any) -> bool:
    """Whether the API says no, which it says neither as a server error nor before it has looked at the body."""
    response = await _send(person, operation, ids, json.dumps(body).encode())
    assert response.status_code < 500, (body, response.text)
    assert response.status_code not in {401, 429}
    return bool(response.status_code >= 400)


async def _rows(superuser: AsyncEngine, tenant: Tenant) -> dict[str, int]:
    """How many rows each table has of the org, apart from what is written down about requests."""
    counts = {}
    async with superuser.connect() as connection:
        for name in (await connection.execute(TABLES)).scalars():
            counting = select(func.count()).select_from(table(name)).where(column("org_id") == tenant.org)
            counts[name] = (await connection.execute(counting)).scalar_one()
    return {name: count for name, count in counts.items() if not name.startswith(KEPT_OF_REQUESTS)}


async def _entered(site: Site, tenant: Tenant, before: int) -> list[str]:
    """The actions that the org's ledger has gained."""
    page = await site.services.audit.page(tenant.org, AuditFilter(), limit=200)
    return [each.action for each in page if each.seq > before]


def _spoilt(good: Any) -> Iterator[Any]:
    """The body with one value replaced, for every value and every odd one."""
    for place in list(_places(good)):
        for odd in ODD:
            spoilt = copy.deepcopy(good)
            holder = spoilt
            for step in place[:-1]:
                holder = holder[step]
            holder[place[-1]] = odd
            yield spoilt


def _places(value: Any, *before: Any) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in pairs:
        yield (*before, step)
        yield from _places(inner, *before, step)
