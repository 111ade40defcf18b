"""The nouns as people use them: pipelines, runs, incidents, plans, approvals, recovery."""

import json

from domain.base import ExecutionId, IncidentId, PlanId
from domain.identity import Role
from domain.plan import PlanStatus
from domain.refs import IncidentRef, RunRef
from services.runs import ExecutionView
from tests.api.site import Person, Site, an_incident, asked, code, preflighted, spec
from tests.database import Tenant


async def test_a_pipeline_is_applied_changed_and_read(someone: Person) -> None:
    """Each change is a version; the same content again is none."""
    created = await someone.post("/pipelines", {"spec": spec("orders"), "code": code()})
    where = created.headers["location"]
    again = await someone.post("/pipelines", {"spec": spec("orders"), "code": code()})
    changed = await someone.patch(where, {"config": {"column": "price"}})
    versions = (await someone.get(f"{where}/versions")).json()["items"]

    assert [each.status_code for each in (created, again, changed)] == [201, 201, 200]
    assert (again.json()["version"], changed.json()["version"]) == (1, 2)
    assert changed.json()["config_json"] == {"column": "price"}
    assert [each["version"] for each in versions] == [2, 1]
    assert (await someone.get("/pipelines")).json()["items"] == [(await someone.get(where)).json()]


async def test_a_config_that_the_stages_cannot_use_is_refused(someone: Person) -> None:
    """The pointer names the config; no version is made."""
    where = (await someone.post("/pipelines", {"spec": spec("orders")})).headers["location"]
    refused = await someone.patch(where, {"config": {"colum": "price"}})

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/config")
    assert (await someone.get(where)).json()["version"] == 1


async def test_an_environment_that_is_not_there_is_refused(someone: Person) -> None:
    """A pipeline lives in an environment with a row."""
    refused = await someone.post("/pipelines", {"spec": spec("orders", environment="moon")})

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/environment")


async def test_if_match_is_honoured_wherever_it_is_sent(someone: Person) -> None:
    """The tag moves with every change, of config and of activity; a stale one is 412."""
    where = (await someone.post("/pipelines", {"spec": spec("orders")})).headers["location"]
    tag = (await someone.get(where)).headers["etag"]
    first = await someone.patch(where, {"is_active": False}, headers={"If-Match": tag})
    stale = await someone.patch(where, {"config": {"column": "x"}}, headers={"If-Match": tag})
    fresh = await someone.patch(where, {"config": {"column": "x"}}, headers={"If-Match": first.headers["etag"]})
    same = await someone.get(where, headers={"If-None-Match": fresh.headers["etag"]})

    assert [each.status_code for each in (first, stale, fresh, same)] == [200, 412, 200, 304]
    assert (await someone.get(where)).json()["is_active"] is False


async def test_code_larger_than_its_cap_is_refused(someone: Person) -> None:
    """Eight MiB of code are too much by one byte; a body over its own cap is 413."""
    fits = await someone.post("/pipelines", {"spec": spec("large"), "code": code({"x": bytes(8 * 1024 * 1024)})})
    large = await someone.post("/pipelines", {"spec": spec("larger"), "code": code({"x": bytes(8 * 1024 * 1024 + 1)})})
    huge = await someone.post("/pipelines", {"spec": spec("huge"), "code": code({"x": bytes(13 * 1024 * 1024)})})
    other = await someone.post("/workflows", {"name": "x" * 1_100_000})

    assert [each.status_code for each in (fits, large, huge, other)] == [201, 422, 413, 413]


async def test_a_stopped_workflow_starts_no_run(someone: Person) -> None:
    """409 names the switch; nothing is started."""
    pipeline = (await someone.post("/pipelines", {"spec": spec("orders")})).json()["id"]
    switch = {"workflow_id": pipeline.replace("pip_", "wfl_"), "is_active": True, "reason": "fire"}
    engaged = await someone.put("/kill-switches", switch)
    refused = await someone.post(f"/pipelines/{pipeline}/runs")
    released = await someone.put("/kill-switches", switch | {"is_active": False})
    started = await someone.post(f"/pipelines/{pipeline}/runs")

    assert [each.status_code for each in (engaged, refused, released, started)] == [200, 409, 200, 202]
    assert refused.json()["type"] == "/problems/stopped"
    assert started.headers["location"] == f"/api/v1/executions/{started.json()['id']}"


async def test_an_event_is_durable_when_answered(someone: Person) -> None:
    """`event_id` finds it; its own idempotency key keeps it single."""
    body = {"event_type": "deploy", "payload": {"a": [1, {"b": None}]}, "idempotency_key": "k1", "correlation_id": "c-1"}
    first, second = await someone.post("/events", body), await someone.post("/events", body)
    found = (await someone.get(f"/events/{first.json()['event_id']}")).json()

    assert (first.json()["status"], second.json()["status"]) == ("stored", "duplicate")
    assert first.json()["event_id"] == second.json()["event_id"]
    assert (found["payload"], found["correlation_id"]) == (body["payload"], "c-1")


async def test_a_spent_quota_says_when_to_come_back(someone: Person) -> None:
    """429 with Retry-After."""
    await someone.put("/quotas", {"name": "signals", "per_minute": 1})
    answers = [await someone.post("/events", {"event_type": "x"}) for _ in range(3)]

    refused = [each for each in answers if each.status_code == 429]
    assert answers[0].status_code == 201
    assert refused  # a minute may begin between two of them, never between all
    assert all(each.headers["retry-after"] for each in refused)


async def test_the_whole_path_from_a_failed_run_to_a_grant(site: Site, tenant: Tenant, someone: Person) -> None:
    """Incident, evidence, plan with its diff, preflight, approval by a second person, grant, execution."""
    incident = await an_incident(site, someone)
    ids = incident.ids
    shown = (await someone.get(f"/incidents/{ids['incident_id']}")).json()
    early = await someone.post("/fix/preflight", {"plan_id": ids["plan_id"]})
    await asked(site, incident)
    late = await someone.post("/fix/preflight", {"plan_id": ids["plan_id"]})
    own = await someone.post("/fix/approve", {"plan_id": ids["plan_id"]})
    unapproved = await someone.post("/fix/execute", {"plan_id": ids["plan_id"], "runner": "agent"})
    second = await site.person(tenant, Role.APPROVER)
    approved = await second.post("/fix/approve", {"plan_id": ids["plan_id"]})
    executed = await someone.post("/fix/execute", {"plan_id": ids["plan_id"], "runner": "agent"})

    assert shown["waiting_runs"] == [ids["execution_id"]]
    assert (early.status_code, late.status_code) == (202, 200)
    assert (late.json()["preflight"]["tier"], late.json()["preflight"]["passed"]) == ("human", True)
    assert (own.status_code, own.json()["type"]) == (403, "/problems/separation_of_duties")
    assert unapproved.status_code == 409
    assert (approved.status_code, approved.json()["plan"]["status"]) == (200, PlanStatus.GRANTED)
    assert (executed.status_code, executed.json()["settled"]) == (200, True)
    assert "+ " in approved.json()["plan"]["diff"]


async def test_the_story_of_an_incident_can_be_read(site: Site, someone: Person) -> None:
    """Evidence, hypotheses that cite it, decisions, plans and a timeline in order."""
    ids = (await an_incident(site, someone)).ids
    parts = {}
    for part in ("evidence", "hypotheses", "decisions", "plans", "timeline"):
        parts[part] = (await someone.get(f"/incidents/{ids['incident_id']}/{part}")).json()["items"]

    known = {each["id"] for each in parts["evidence"]}
    assert all(set(each["support"]) <= known for each in parts["hypotheses"])
    assert {each["decision_type"] for each in parts["decisions"]} == {"diagnosis", "plan"}
    assert [each["id"] for each in parts["plans"]] == [ids["plan_id"]]
    actions = [each["action"] for each in parts["timeline"]]
    assert actions.index("incident.opened") < actions.index("incident.diagnosed") < actions.index("plan.made")
    decision = parts["decisions"][0]
    assert (await someone.get(f"/decisions/{decision['id']}")).json() == decision


async def test_a_superseded_plan_is_stale_and_names_the_new_one(site: Site, someone: Person) -> None:
    """409 `stale_plan`, for preflight and execution."""
    incident = await an_incident(site, someone)
    await preflighted(site, incident)
    old, new = await _supersede(site, someone, incident.ids["incident_id"], incident.ids["plan_id"])

    answers = [await someone.post(f"/fix/{step}", {"plan_id": old}) for step in ("preflight", "execute")]

    assert [(each.status_code, each.json()["type"]) for each in answers] == [(409, "/problems/stale_plan")] * 2
    assert all(new in each.json()["detail"] for each in answers)


async def test_runners_of_the_documents_are_known(site: Site, someone: Person) -> None:
    """`dryrun` shows the rehearsal, `gitops` says why not, an unknown one is 422."""
    incident = await an_incident(site, someone)
    plan = incident.ids["plan_id"]
    early = await someone.post("/fix/execute", {"plan_id": plan, "runner": "dryrun"})
    await preflighted(site, incident)
    late = await someone.post("/fix/execute", {"plan_id": plan, "runner": "dryrun"})
    gitops = await someone.post("/fix/execute", {"plan_id": plan, "runner": "gitops"})
    other = await someone.post("/fix/execute", {"plan_id": plan, "runner": "ssh"})

    assert [each.status_code for each in (early, late, gitops, other)] == [202, 200, 422, 422]


async def test_an_approval_is_decided_once(site: Site, tenant: Tenant, someone: Person) -> None:
    """A rejection closes it; who decided later is told, and why nothing else counts."""
    incident = await an_incident(site, someone)
    await asked(site, incident)
    where = f"/approvals/{incident.ids['approval_id']}"
    approver, other = await site.person(tenant, Role.APPROVER), await site.person(tenant, Role.APPROVER)
    wrong = await approver.patch(where, {"choice": "approve", "digest": "0" * 64})
    rejected = await approver.patch(where, {"status": "rejected", "notes": "not now"})
    late = await other.patch(where, {"choice": "approve"})

    assert (wrong.status_code, rejected.status_code, late.status_code) == (409, 200, 409)
    assert (rejected.json()["status"], rejected.json()["reviewer_notes"]) == ("rejected", "not now")
    assert rejected.json()["reviewer_id"] == approver.caller.id.shown
    assert (await someone.get("/approvals?status=open")).json()["items"] == []


async def test_an_unused_grant_is_taken_back(site: Site, tenant: Tenant, someone: Person) -> None:
    """Any approver revokes; then nothing executes."""
    incident = await an_incident(site, someone)
    await asked(site, incident)
    where = f"/approvals/{incident.ids['approval_id']}"
    approver, other = await site.person(tenant, Role.APPROVER), await site.person(tenant, Role.APPROVER)
    await approver.patch(where, {"choice": "approve"})
    revoked = await other.patch(where, {"choice": "revoke"})
    again = await other.patch(where, {"choice": "revoke"})
    executed = await someone.post("/fix/execute", {"plan_id": incident.ids["plan_id"]})

    assert [each.status_code for each in (revoked, again, executed)] == [200, 409, 409]


async def test_no_answer_of_the_engine_is_202(site: Site, tenant: Tenant, someone: Person) -> None:
    """The request is stored, and the relay repeats it."""
    incident = await an_incident(site, someone)
    await asked(site, incident)
    approver = await site.person(tenant, Role.APPROVER)
    site.engine.answers = False
    try:
        submitted = await approver.post("/fix/approve", {"plan_id": incident.ids["plan_id"]})
    finally:
        site.engine.answers = True

    assert (submitted.status_code, submitted.json()["settled"]) == (202, False)
    assert submitted.json()["request_id"].startswith("req_")


async def test_an_incident_is_opened_and_ended_by_hand(someone: Person) -> None:
    """Twice the same is one; ended it stays ended."""
    body = {"title": "checkout is slow", "service": "shop"}
    first, second = await someone.post("/incidents/open", body), await someone.post("/incidents/open", body)
    where = first.headers["location"]
    resolved = await someone.patch(where, {"status": "resolved"})
    again = await someone.patch(where, {"status": "resolved"})

    assert first.json()["id"] == second.json()["id"]
    assert (resolved.json()["status"], again.status_code) == ("resolved", 409)
    assert [each["id"] for each in (await someone.get("/incidents?service=shop")).json()["items"]] == [first.json()["id"]]


async def test_a_failed_run_is_replayed_by_a_plan(site: Site, someone: Person) -> None:
    """Only a run that failed for good; the answer leads to its plan."""
    ids = (await an_incident(site, someone)).ids
    early = await someone.post("/recovery/replay", {"execution_id": ids["execution_id"], "reason": "again"})
    await someone.patch(f"/incidents/{ids['incident_id']}", {"status": "resolved"})
    execution = await site.services.runs.get(someone.caller, ExecutionId.of(ids["execution_id"]))
    await site.services.runs.healing(_ref(execution))
    failed = (await someone.get("/recovery/failed")).json()["items"]
    replayed = await someone.post("/recovery/replay", {"execution_id": ids["execution_id"], "reason": "again"})

    assert early.status_code == 409
    assert [each["id"] for each in failed] == [ids["execution_id"]]
    assert replayed.status_code == 202, replayed.text
    assert (await someone.get(replayed.headers["location"])).json()["action"] == "replay_run"
    assert (await someone.get("/recovery/events")).json()["items"][0]["id"] == replayed.json()["id"]


async def test_an_execution_shows_its_attempts(site: Site, someone: Person) -> None:
    """What was tried, in order, with what it printed."""
    ids = (await an_incident(site, someone)).ids
    view = (await someone.get(f"/executions/{ids['execution_id']}")).json()

    assert (view["execution"]["status"], view["execution"]["failed_stage"]) == ("waiting", "read")
    assert [(each["stage"], each["status"]) for each in view["attempts"]] == [("read", "failed")]
    assert "503" in view["attempts"][0]["result"]["head"]


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


async def _supersede(site: Site, by: Person, incident: str, old: str) -> tuple[str, str]:
    """Let the planner put a new plan in the place of the old one."""
    ref = IncidentRef(org=by.caller.org, id=IncidentId.of(incident))
    state = await site.services.planning.heal(ref, carrier="inc/x", supersedes=PlanId.of(old))
    assert state is not None
    return old, state.plan.id.shown


def _ref(view: ExecutionView) -> RunRef:
    return RunRef(org=view.execution.org, pipeline=view.execution.pipeline, execution=view.execution.id)
