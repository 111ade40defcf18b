"""A kill switch, engaged in whichever wait: nothing acts after it, and a person has to look."""

import pytest

from domain.approval import ApprovalStatus
from domain.errors import ApprovalClosedError, ConflictError
from domain.execution import RunStatus
from domain.identity import SwitchLevel
from domain.incident import Status
from domain.plan import Mode, PlanStatus
from storage import remediations
from tests.workflows.suggestions import a_granted_suggestion, an_incident_at_rest

LEVELS = pytest.mark.parametrize(("level", "subject"), [(SwitchLevel.ORG, "*"), (SwitchLevel.WORKFLOW, "orders")])


async def _engage(scene, level, subject) -> None:
    await scene.services.switches.engage(scene.approver, level, subject, "something is wrong")


def _effects(actions: list[str]) -> int:
    return sum(action.startswith("step.") for action in actions)


@LEVELS
async def test_while_people_decide(scene, level, subject):
    """The approval is withdrawn and the plan blocked; a decision comes too late, and the run waits for a person."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    await _engage(scene, level, subject)
    await scene.until_incident(run.incident, Status.BLOCKED)
    assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.WITHDRAWN
    assert (await scene.plans(run.incident))[0].status is PlanStatus.BLOCKED
    with pytest.raises(ApprovalClosedError):
        await scene.decide(approval)
    assert (await scene.run(run.id)).status is RunStatus.WAITING


@LEVELS
async def test_while_a_granted_plan_waits_for_the_word_to_execute(scene, level, subject):
    """The grant is void and the plan blocked; the word comes too late."""
    plan, _ = await a_granted_suggestion(scene)
    await _engage(scene, level, subject)
    assert await scene.handle(plan.carrier).result() == Status.BLOCKED
    with pytest.raises(ConflictError):
        await scene.services.approvals.request_execution(scene.operator, plan.plan.id)
    assert (await scene.current()).version == 2
    assert _effects(await scene.actions(plan.plan.incident)) == 0
    assert (await scene.plans(plan.plan.incident))[0].status is PlanStatus.BLOCKED


@LEVELS
async def test_while_a_remediation_waits_for_its_evidence(scene, level, subject):
    """It ends as needs_human with its snapshot: an undo would be an effect too."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    scene.hold("check")
    await scene.decide(approval)
    await scene.until_held("check")
    before = _effects(await scene.actions(run.incident))
    await _engage(scene, level, subject)
    await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    assert _effects(await scene.actions(run.incident)) == before
    assert (await scene.current()).version == 1
    plan = (await scene.plans(run.incident))[0]
    async with scene.world.database.transaction(scene.tenant.org) as session:
        kept = {each.target: each.content for each in await remediations.snapshots(session, plan.plan.id)}
    assert kept[f"pipeline/{scene.pipeline.id.shown}"]["version"] == 2


async def test_while_a_run_waits_to_be_healed(scene):
    """A plan asked for now is blocked by its preflight, and the run goes on waiting."""
    run = await an_incident_at_rest(scene)
    await _engage(scene, SwitchLevel.ACTION, "rollback_config")
    plan = await scene.services.planning.propose(scene.operator, run.incident, Mode.AUTO, None)
    assert await scene.carried(plan) == Status.BLOCKED
    assert (await scene.plans(run.incident))[0].status is PlanStatus.BLOCKED
    assert (await scene.run(run.id)).status is RunStatus.WAITING
