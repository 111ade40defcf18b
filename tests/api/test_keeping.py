"""What is kept by admins and stops effects: switches, the automatic mode, principals, tokens, secrets, the audit log."""

import json

from domain.actor import PROVISION
from domain.identity import Role
from tests.api.site import Person, Site
from tests.database import Tenant


async def test_the_automatic_mode_boots_held_and_is_released_by_an_operator(site: Site, tenant: Tenant) -> None:
    """An admin may hold it, never release it."""
    operator, admin = await site.person(tenant, Role.OPERATOR), await site.person(tenant, Role.ADMIN)
    first = (await operator.get("/automatic")).json()["released"]
    refused = await admin.put("/automatic", {"released": True})
    released = await operator.put("/automatic", {"released": True})
    held = await admin.put("/automatic", {"released": False})

    assert (first, refused.status_code, released.json()["released"], held.json()["released"]) == (False, 403, True, False)


async def test_only_an_admin_releases_a_switch(site: Site, tenant: Tenant) -> None:
    """Everyone but a viewer engages; the level of the platform is not here."""
    author, viewer = await site.person(tenant, Role.AUTHOR), await site.person(tenant, Role.VIEWER)
    switch = {"level": "org", "subject": "*", "is_active": True, "reason": "fire"}
    engaged = await author.put("/kill-switches", switch)
    mute = await author.put("/kill-switches", switch | {"reason": " "})
    released = await author.put("/kill-switches", switch | {"is_active": False})
    watched = await viewer.put("/kill-switches", switch)
    platform = await author.put("/kill-switches", switch | {"level": "global"})

    assert [each.status_code for each in (engaged, mute, released, watched, platform)] == [200, 422, 403, 403, 403]
    assert [each for each in (await viewer.get("/kill-switches")).json()["items"] if each["is_active"]] == [engaged.json()]


async def test_a_switch_that_could_stop_nothing_is_refused(someone: Person) -> None:
    """422 names the actions there are and points at the field."""
    answer = await someone.put("/kill-switches", {"level": "action", "subject": "*", "is_active": True, "reason": "fire"})
    flaw = answer.json()["errors"][0]

    assert (answer.status_code, flaw["pointer"], "rollback_config" in flaw["message"]) == (422, "/subject", True)


async def test_principals_tokens_and_secrets_are_kept(site: Site, someone: Person) -> None:
    """A service account with an owner, a token with a scope, a secret that is never returned."""
    owner = someone.caller.id.shown
    robot = await someone.post("/principals", {"kind": "service", "name": "ci", "owner": owner, "roles": ["operator"]})
    token = await someone.post("/tokens", {"principal": robot.json()["id"], "scopes": ["run.read"], "expires_in": "P1D"})
    caller = Person(someone.caller, token.json()["secret"], someone.client)
    secret = await someone.put("/secrets/dev/password", {"value": "hunter2"})
    approver = await someone.post("/principals", {"kind": "service", "name": "no", "owner": owner, "roles": ["approver"]})

    assert [each.status_code for each in (robot, token, secret, approver)] == [201, 201, 204, 403]
    assert ((await caller.get("/executions")).status_code, (await caller.get("/incidents")).status_code) == (200, 403)
    assert "hunter2" not in json.dumps((await someone.get("/audit-logs?resource_type=secret")).json())
    assert token.json()["secret"] not in (await someone.get("/tokens")).text


async def test_an_admin_rotates_the_key_of_secrets(site: Site, tenant: Tenant) -> None:
    """Once for each Idempotency-Key, with an audit entry; what was sealed before is read under the fresh key."""
    admin, author = await site.person(tenant, Role.ADMIN), await site.person(tenant, Role.AUTHOR)
    await admin.put("/secrets/dev/password", {"value": "hunter2"})
    before, _ = await site.services.secrets._keyring.current(tenant.org)
    headers = {"Idempotency-Key": f"rotate-{before}"}
    first, again = [await admin.post("/secrets/rotate-key", headers=headers) for _ in range(2)]
    refused = await author.post("/secrets/rotate-key")
    entries = (await admin.get("/audit-logs?action=org_key.rotated")).json()["items"]
    found = await site.services.secrets.reveal_for_runner(tenant.org, "dev", ["password"], actor=PROVISION, why="a test")

    assert (first.status_code, again.json(), refused.status_code) == (200, first.json(), 403)
    assert [each["resource_id"] for each in entries] == [first.json()["key_id"]] != [before]
    assert found == {"password": "hunter2"}


async def test_the_audit_log_proves_itself(site: Site, tenant: Tenant, someone: Person) -> None:
    """It verifies, is signed, proves an entry and leaves the house."""
    await someone.post("/workflows", {"name": "noted"})
    found = (await someone.get("/audit-logs?action=workflow.created")).json()["items"]
    none = await someone.get("/audit-logs/checkpoint")
    signed = await someone.post("/audit-logs/checkpoint")
    proof = (await someone.get(f"/audit-logs/{found[0]['seq']}/proof")).json()
    exported = await someone.get("/audit-logs/export")

    assert (found[0]["after_json"]["name"], found[0]["actor_id"]) == ("noted", someone.caller.id.shown)
    assert (none.status_code, signed.status_code) == (404, 201)
    assert (proof["leaf"], proof["size"]) == (found[0]["hash"], await site.audited(tenant))
    assert (await someone.get("/audit-logs/verify")).json()["fault"] is None
    assert len(exported.text.splitlines()) >= proof["size"]
