"""From a failed run to a healed one, as people read and decide it: incidents, plans, approvals, recovery."""

from domain.base import ExecutionId, IncidentId, PlanId
from domain.identity import Role
from domain.plan import PlanStatus
from domain.refs import IncidentRef, PlanRef, RunRef
from services.runs import ExecutionView
from tests.api.site import Person, Site, an_incident, asked, preflighted
from tests.database import Tenant


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


async def test_an_operation_follows_its_run(site: Site, someone: Person) -> None:
    """It runs while the run waits for its healing, and ends as the run ends; nobody has to write it down twice."""
    ids = (await an_incident(site, someone)).ids
    where = f"/operations/{ids['execution_id'].replace('exe_', 'opr_')}"
    waiting = (await someone.get(where)).json()
    await someone.patch(f"/incidents/{ids['incident_id']}", {"status": "resolved"})
    execution = await site.services.runs.get(someone.caller, ExecutionId.of(ids["execution_id"]))
    await site.services.runs.healing(_ref(execution))
    failed = (await someone.get(where)).json()

    assert (waiting["kind"], waiting["status"], failed["status"]) == ("run", "running", "failed")
    assert (failed["resource_type"], failed["resource_id"]) == ("execution", ids["execution_id"])


async def test_a_failed_run_is_replayed_by_a_plan(site: Site, someone: Person) -> None:
    """Only a run that failed for good; the answer leads to an operation, which names its plan and follows it."""
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
    operation = (await someone.get(replayed.headers["location"])).json()
    assert (operation["kind"], operation["status"], operation["resource_type"]) == ("replay", "running", "plan")
    assert (await someone.get(f"/fix/plans/{operation['resource_id']}")).json()["action"] == "replay_run"
    assert (await someone.get("/recovery/events")).json()["items"][0]["id"] == replayed.json()["id"]


async def test_an_execution_shows_its_attempts(site: Site, someone: Person) -> None:
    """What was tried, in order, with what it printed."""
    ids = (await an_incident(site, someone)).ids
    view = (await someone.get(f"/executions/{ids['execution_id']}")).json()

    assert (view["execution"]["status"], view["execution"]["failed_stage"]) == ("waiting", "read")
    assert [(each["stage"], each["status"]) for each in view["attempts"]] == [("read", "failed")]
    assert "503" in view["attempts"][0]["result"]["head"]


async def _supersede(site: Site, by: Person, incident: str, old: str) -> tuple[str, str]:
    """Let the planner put a new plan in the place of the old one."""
    ref = IncidentRef(org=by.caller.org, id=IncidentId.of(incident))
    stale = await site.services.planning.look(PlanRef(org=by.caller.org, id=PlanId.of(old)))
    state = await site.services.planning.heal(ref, carrier=stale.carrier, supersedes=stale.plan.id)
    assert state is not None
    return old, state.plan.id.shown


def _ref(view: ExecutionView) -> RunRef:
    return RunRef(org=view.execution.org, pipeline=view.execution.pipeline, execution=view.execution.id)
