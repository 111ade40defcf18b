"""Whoever cancels a workflow, in whichever of its waits, leaves nothing half done."""

from datetime import timedelta

from temporalio.client import WorkflowFailureError

from domain.approval import ApprovalStatus, GrantStatus
from domain.execution import RunStatus
from domain.incident import Status
from domain.plan import Mode, PlanStatus
from storage import approvals, remediations
from tests.workflows.suggestions import a_granted_suggestion


async def _cancelled(handle) -> None:
    """Cancel the workflow and wait until it has put everything in order."""
    await handle.cancel()
    try:
        await handle.result()
    except WorkflowFailureError:
        return
    raise AssertionError("the workflow did not end as cancelled")


async def test_a_story_cancelled_while_people_decide(scene):
    """The approval is withdrawn, nothing was changed, and a person has to look."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    await _cancelled(await scene.story_of(run.incident))
    assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.WITHDRAWN
    assert (await scene.incident(run.incident)).status is Status.NEEDS_HUMAN
    assert ((await scene.current()).version, (await scene.run(run.id)).status) == (2, RunStatus.WAITING)
    assert not any(action.startswith("step.") for action in await scene.actions(run.incident))


async def test_a_plan_cancelled_while_it_waits_for_the_word_to_execute(scene):
    """Its grant is void: nobody can execute it later."""
    plan, _ = await a_granted_suggestion(scene)
    await _cancelled(scene.handle(plan.carrier))
    async with scene.world.database.transaction(scene.tenant.org) as session:
        assert (await approvals.grant_of(session, plan.plan.id)).status is GrantStatus.VOID
    assert (await scene.plans(plan.plan.incident))[0].status is PlanStatus.NEEDS_HUMAN
    assert (await scene.incident(plan.plan.incident)).status is Status.NEEDS_HUMAN
    assert (plan.plan.mode, (await scene.current()).version) == (Mode.SUGGEST, 2)


async def _verifying(scene):
    """A remediation that waits for the resumed stage."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    scene.hold("check")
    await scene.decide(approval)
    await scene.until_held("check")
    return run, (await scene.plans(run.incident))[0]


async def test_a_remediation_cancelled_while_it_verifies_restores_its_targets(scene):
    """The config is back at exactly the version before, the leases are free, and a person has to look."""
    run, plan = await _verifying(scene)
    assert (await scene.current()).version == 1
    await _cancelled(scene.remediation_of(plan))
    await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    assert (await scene.current()).version == 2
    assert (await scene.plans(run.incident))[0].status is PlanStatus.ROLLED_BACK
    async with scene.world.database.transaction(scene.tenant.org) as session:
        target = plan.plan.targets[0].key
        fence = await remediations.take_lease(session, plan.plan.org, target, holder="test", for_=timedelta(seconds=1))
    assert fence > 1


async def test_a_story_cancelled_while_its_remediation_verifies_restores_the_targets(scene):
    """Cancelling the incident's story reaches its remediation, and waits for what that has to undo."""
    run, _ = await _verifying(scene)
    await _cancelled(await scene.story_of(run.incident))
    assert (await scene.current()).version == 2
    assert (await scene.plans(run.incident))[0].status is PlanStatus.ROLLED_BACK
    assert (await scene.incident(run.incident)).status is Status.NEEDS_HUMAN


async def test_a_run_cancelled_while_it_waits_to_be_healed(scene):
    """The run ends as cancelled; its plan is stale, so an approval given later changes nothing."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    await _cancelled(scene.run_of(run))
    assert (await scene.run(run.id)).status is RunStatus.CANCELLED
    await scene.decide(approval)
    assert await (await scene.story_of(run.incident)).result() == Status.NEEDS_HUMAN
    assert (await scene.current()).version == 2
    assert (await scene.incident(run.incident)).ended_at is not None
