"""The same Idempotency-Key with the same request is served once, per org, principal and route."""

import asyncio

from sqlalchemy import text

from domain.identity import Role
from tests.api.site import Person, Site, everything, spec
from tests.database import FoundOrg, Tenant

KEY = {"Idempotency-Key": "a-key-of-mine"}


async def test_a43_the_same_request_is_served_once(someone: Person) -> None:
    """The second answer is the stored one, and says so."""
    first = await someone.post("/workflows", {"name": "once"}, headers=KEY)
    second = await someone.post("/workflows", {"name": "once"}, headers=KEY)

    assert (first.status_code, second.status_code) == (201, 201)
    assert (second.json(), second.headers["location"]) == (first.json(), first.headers["location"])
    assert (first.headers.get("idempotency-replayed"), second.headers["idempotency-replayed"]) == (None, "true")
    assert len((await someone.get("/workflows")).json()["items"]) == 1


async def test_a43_another_body_is_refused(someone: Person) -> None:
    """A key stands for one request."""
    await someone.post("/workflows", {"name": "one"}, headers=KEY)
    other = await someone.post("/workflows", {"name": "two"}, headers=KEY)

    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency_key_reused")


async def test_a43_of_many_at_once_one_is_served(someone: Person) -> None:
    """Eight of the same at once: one event, each other one replayed or told to wait."""
    body = {"event_type": "deploy", "payload": {}}
    answers = await asyncio.gather(*(someone.post("/events", body, headers=KEY) for _ in range(8)))

    statuses = [each.status_code for each in answers]
    assert set(statuses) <= {201, 409}
    assert len({each.json()["event_id"] for each in answers if each.status_code == 201}) == 1
    assert len((await someone.get("/events")).json()["items"]) == 1
    assert all(each.json()["type"] == "/problems/idempotency_key_running" for each in answers if each.status_code == 409)


async def test_a43_another_org_principal_and_route_are_independent(
    site: Site, tenant: Tenant, found_org: FoundOrg, someone: Person
) -> None:
    """The same letters elsewhere are another key."""
    body = {"name": "shared"}
    colleague = await site.person(tenant, Role.AUTHOR)
    stranger = await site.person(await found_org(), Role.AUTHOR)
    await someone.post("/workflows", body, headers=KEY)

    answers = [
        await stranger.post("/workflows", body, headers=KEY),
        await colleague.post("/workflows", body, headers=KEY),
        await someone.post("/environments", body, headers=KEY),
    ]

    assert [each.status_code for each in answers] == [201, 409, 201]
    assert not [each for each in answers if "idempotency-replayed" in each.headers]


async def test_an_alias_is_the_same_route(someone: Person) -> None:
    """The key counts across the prefixes."""
    await someone.post("/workflows", {"name": "alias"}, headers=KEY)
    again = await someone.post("/v1/workflows", {"name": "alias"}, headers=KEY)

    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")


async def test_a_run_is_started_once(someone: Person) -> None:
    """Lost acknowledgements start no second run."""
    pipeline = (await someone.post("/pipelines", {"spec": spec("nightly")})).json()["id"]
    first = await someone.post(f"/pipelines/{pipeline}/runs", headers=KEY)
    second = await someone.post(f"/pipelines/{pipeline}/runs", headers=KEY)

    assert first.json()["id"] == second.json()["id"]
    assert len((await someone.get("/executions")).json()["items"]) == 1


async def test_a_secret_is_shown_once_and_never_stored(someone: Person) -> None:
    """A replay brings the token without its secret."""
    first = await someone.post("/tokens", {"scopes": ["run.read"]}, headers=KEY)
    second = await someone.post("/tokens", {"scopes": ["run.read"]}, headers=KEY)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["secret"].startswith("sut_")
    assert (second.json()["token"], second.json()["secret"]) == (first.json()["token"], None)


async def test_a_refusal_while_policy_is_down_may_be_tried_again(site: Site, someone: Person) -> None:
    """503 is no final answer: the same key is served later."""
    site.policy.is_up = False
    try:
        down = await someone.post("/workflows", {"name": "later"}, headers=KEY)
    finally:
        site.policy.is_up = True
    up = await someone.post("/workflows", {"name": "later"}, headers=KEY)

    assert (down.status_code, up.status_code) == (503, 201)


async def test_a_decision_whose_answer_got_lost_is_found_by_its_key(site: Site, tenant: Tenant) -> None:
    """It is stored before its workflow hears of it: a repeat finds that request, and makes no second one."""
    incident = await everything(site, tenant)
    approver = await site.person(tenant, Role.APPROVER)
    body = {"plan_id": incident.ids["plan_id"]}
    first = await approver.post("/fix/approve", body, headers=KEY)
    async with site.database.transaction(tenant.org) as session:
        await session.execute(text("delete from idempotency_keys where principal_id = :id"), {"id": approver.caller.id})
    again = await approver.post("/fix/approve", body, headers=KEY)

    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.json()["request_id"], again.headers.get("idempotency-replayed")) == (first.json()["request_id"], None)
    async with site.database.transaction(tenant.org) as session:
        assert await session.scalar(text("select count(*) from decision_requests")) == 1
