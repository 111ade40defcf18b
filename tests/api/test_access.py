"""Who may call what: generated over every operation of the document, and the ways around it."""

import asyncio
import time

import httpx2
import pytest

from domain.base import PrincipalId
from domain.identity import Kind, Role
from domain.principals import PrincipalPatch
from services.authority import IN_PROCESS
from tests.api.fakes import AUTHZ
from tests.api.operations import ALL, OPEN_TO_ALL, UNKNOWN, Operation, name_of
from tests.api.site import EVERY, Incident, Person, Site
from tests.database import Tenant

PROTECTED = tuple(each for each in ALL if each.key not in OPEN_TO_ALL)
GUARDED = tuple(each for each in PROTECTED if each.action)
LINK = "/api/v1/codec/session"


def _may(role: Role, action: str) -> bool:
    if action in IN_PROCESS:
        return role in IN_PROCESS[action]
    return action in AUTHZ["everyone"] or action in AUTHZ["roles"][role]


async def _status(site: Site, operation: Operation, token: str | None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return (await site.client.request(operation.method, operation.at(UNKNOWN), headers=headers)).status_code


async def test_a08_no_token_is_401_everywhere(site: Site) -> None:
    """Without a credential, and with four that are none, every operation but the short list answers 401."""
    broken = (None, "", "sut_x", f"sut_{'0' * 26}_{'0' * 26}_{'0' * 64}", "eyJhbGciOiJub25lIn0.e30.")

    found = {(name_of(each), token): await _status(site, each, token) for each in PROTECTED for token in broken}

    assert {key: status for key, status in found.items() if status != 401} == {}


async def test_a08_a_wrong_scope_is_403_everywhere(site: Site, tenant: Tenant) -> None:
    """A token whose scope covers another act refuses every guarded operation, whatever its roles."""
    narrow = await site.person(tenant, *EVERY, scopes=("nothing.read",))

    found = {name_of(each): await _status(site, each, narrow.token) for each in GUARDED}

    assert {name: status for name, status in found.items() if status != 403} == {}


@pytest.mark.parametrize("role", list(Role))
async def test_a08_another_role_is_403_everywhere(site: Site, tenant: Tenant, role: Role) -> None:
    """A role is let through to exactly the operations that the role table gives it."""
    person = await site.person(tenant, role)

    found = {each.key: await _status(site, each, person.token) for each in GUARDED}

    refused = {key for key, status in found.items() if status == 403}
    assert refused == {each.key for each in GUARDED if not _may(role, each.action or "")}
    assert 401 not in found.values()


async def test_a08_a_principal_without_roles_may_nothing(site: Site, tenant: Tenant) -> None:
    """No role, no right."""
    nobody = await site.person(tenant)

    assert {await _status(site, each, nobody.token) for each in GUARDED} == {403}


async def test_a29_a_service_account_decides_and_executes_nothing(site: Site, tenant: Tenant, ours: Incident) -> None:
    """Deciding, executing and releasing are for persons."""
    robot = await site.person(tenant, Role.OPERATOR, Role.ADMIN, kind=Kind.SERVICE)
    switch = {"level": "org", "subject": "*", "is_active": False, "reason": "x"}

    statuses = [
        (await robot.post("/fix/approve", {"plan_id": ours.ids["plan_id"]})).status_code,
        (await robot.post("/fix/execute", {"plan_id": ours.ids["plan_id"]})).status_code,
        (await robot.patch(f"/approvals/{ours.ids['approval_id']}", {"choice": "approve"})).status_code,
        (await robot.put("/kill-switches", switch)).status_code,
        (await robot.put("/automatic", {"released": True})).status_code,
    ]

    assert statuses == [403] * 5


async def test_a09_a_revoked_token_is_refused_at_once(site: Site, someone: Person) -> None:
    """Nothing remembers a token."""
    assert (await someone.get("/principals/me")).status_code == 200
    assert (await someone.call("DELETE", f"/tokens/{someone.caller.token.shown}")).status_code == 200

    assert (await someone.get("/principals/me")).status_code == 401


async def test_a09_a_removed_role_is_refused_at_once(site: Site, tenant: Tenant) -> None:
    """Roles are read with every request."""
    author = await site.person(tenant, Role.AUTHOR)
    assert (await author.post("/workflows", {"name": "one"})).status_code == 201
    patch = PrincipalPatch(roles=frozenset({Role.VIEWER}))
    await site.services.principals.change(tenant.admin, PrincipalId.of(author.caller.id), patch)

    assert (await author.post("/workflows", {"name": "two"})).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/v1/fix/execute/healthz",
        "/api/v1/fix/execute/healthz",
        "//v1/fix/execute",
        "/v1//fix/execute",
        "/v1/%2e%2e/v1/fix/execute",
        "/healthz/../api/v1/fix/execute",
        "/healthz/%2e%2e/api/v1/fix/execute",
        "/api/v1/fix/execute;x",
        "/api/v1/fix/execute;/healthz",
        "/api/v1/fix/execute/",
        "/api/v1/fix/execute/configs",
        "/api/v1/fix/execute%2fhealthz",
        "/api/v1/fix/execute%00",
        "/api/v1/FIX/EXECUTE",
        "/api/v1/fix/execute/openapi.json",
        "/metrics/api/v1/fix/execute",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT", "TRACE"])
async def test_a07_a_tricky_path_is_nowhere(site: Site, path: str, method: str) -> None:
    """However a path is written, what answers is a guarded route or nothing."""
    response = await site.client.send(_raw(method, path))

    assert response.status_code in {400, 401, 404}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "CONNECT", "FOO"])
@pytest.mark.parametrize("path", ["/api/v1/fix/execute", "/v1/fix/execute", "/api/v1/pipelines", "/api/fix/approve"])
async def test_a07_a_method_that_a_path_lacks_is_nowhere(site: Site, path: str, method: str) -> None:
    """Another method finds nothing, and does not tell that the path exists."""
    assert (await site.client.send(_raw(method, path))).status_code == 404


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_a07_a_method_is_not_overridden(site: Site, tenant: Tenant, name: str) -> None:
    """The method is the one of the request line."""
    viewer = await site.person(tenant, Role.VIEWER)
    before = await site.audited(tenant)

    response = await viewer.get("/workflows", headers={name: "POST"})

    assert (response.status_code, await site.audited(tenant)) == (200, before)


@pytest.mark.parametrize(
    "sent",
    [
        [("Authorization", "Basic dXNlcjpwYXNz")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer  ")],
        [("Authorization", "{good}"), ("Authorization", "{good}")],
        [("X-Authorization", "{good}")],
        [("Cookie", "token={bare}")],
    ],
)
async def test_there_is_one_way_to_say_who_calls(someone: Person, sent: list[tuple[str, str]]) -> None:
    """One Authorization header with one bearer token, and nothing else."""
    words = {"good": f"Bearer {someone.token}", "bare": someone.token}
    headers = [(name, value.format_map(words)) for name, value in sent]

    response = await someone.client.get("/api/v1/principals/me", headers=headers)

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_in_the_query_counts_for_nothing(someone: Person) -> None:
    """Tokens do not travel in addresses."""
    assert (await someone.client.get(f"/api/v1/principals/me?token={someone.token}")).status_code == 401


async def test_reading_stopping_and_ingest_work_while_policy_is_down(site: Site, someone: Person) -> None:
    """Whatever asks policy answers 503 and does nothing; what must work then, works."""
    switch = {"level": "org", "subject": "*", "is_active": True, "reason": "fire"}
    site.policy.is_up = False
    try:
        read = await someone.get("/incidents")
        engaged = await someone.put("/kill-switches", switch)
        taken = await someone.post("/events", {"event_type": "deploy", "payload": {}})
        written = await someone.post("/workflows", {"name": "never"})
    finally:
        site.policy.is_up = True

    assert [each.status_code for each in (read, engaged, taken, written)] == [200, 200, 201, 503]
    assert "10.1.2.3" not in written.text
    assert (await someone.get("/workflows")).json()["items"] == []


async def test_the_time_of_a_refusal_says_nothing(site: Site, ours: Incident) -> None:
    """A wrong secret and an unknown token take the same query; at their best neither is three times slower."""
    head, _, _ = ours.by.token.rpartition("_")
    sent = {"wrong": f"{head}_{'0' * 64}", "unknown": f"sut_{head.split('_')[1]}_{'0' * 26}_{'0' * 64}"}
    best = dict.fromkeys(sent, 60.0)
    for _ in range(15):
        for name, token in sent.items():
            began = time.perf_counter()
            await site.client.get("/api/v1/principals/me", headers={"Authorization": f"Bearer {token}"})
            best[name] = min(best[name], time.perf_counter() - began)

    assert max(best.values()) < 3 * min(best.values())


def _raw(method: str, path: str) -> httpx2.Request:
    """A request whose path stays as it is written."""
    request = httpx2.Request(method, "http://api/")
    request.url = request.url.copy_with(raw_path=path.encode())
    return request


async def test_every_answer_says_what_is_left_of_the_minute(someone: Person) -> None:
    """The org's `requests` go down with every request; without a token nothing is counted, and health never is."""
    first, second = await someone.get("/incidents"), await someone.get("/nowhere-at-all")
    health = await someone.client.get("/healthz")
    stranger = await someone.client.get("/api/v1/incidents")

    assert first.headers["ratelimit-limit"] == "6000"
    assert 0 < int(first.headers["ratelimit-remaining"]) < 6_000
    assert 1 <= int(first.headers["ratelimit-reset"]) <= 60
    assert [each for each in (second, health, stranger) if "ratelimit-limit" in each.headers] == []


async def test_an_org_that_asks_too_much_is_told_when_to_come_back(someone: Person) -> None:
    """429 with the seconds that are left of the minute; health is served, and so is whoever brakes or mends the number."""
    await someone.put("/quotas", {"name": "requests", "per_minute": 2})
    answers = [await someone.get("/incidents") for _ in range(6)]
    refused = [each for each in answers if each.status_code == 429]

    assert len(refused) >= 2  # a minute may begin between two of them
    assert {each.json()["type"] for each in refused} == {"/problems/quota_exceeded"}
    assert {each.headers["ratelimit-remaining"] for each in refused} == {"0"}
    assert all(each.headers["retry-after"] == each.headers["ratelimit-reset"] for each in refused)
    assert (
        await someone.put("/kill-switches", {"level": "org", "subject": "*", "is_active": True, "reason": "flood"})
    ).is_success
    assert (await someone.put("/quotas", {"name": "requests", "per_minute": 6_000})).is_success
    assert (await someone.client.get("/healthz")).status_code == 200


async def test_of_many_requests_at_once_as_many_as_allowed_are_served(someone: Person) -> None:
    """The count is the database's, so it holds over connections and processes."""
    await someone.put("/quotas", {"name": "requests", "per_minute": 10})
    answers = await asyncio.gather(*(someone.get("/incidents") for _ in range(40)))
    served = [each for each in answers if each.status_code == 200]

    assert len(served) <= 20  # twice as many at most: a minute may begin meanwhile
    assert {each.status_code for each in answers} == {200, 429}
