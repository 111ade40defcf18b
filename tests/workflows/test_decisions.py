"""What people decide, and what becomes of a wait in which nobody does."""

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.approval import ApprovalStatus, Choice
from domain.audit import AuditFilter
from domain.base import PreflightId, RequestId
from domain.errors import ApprovalClosedError, SeparationOfDutiesError
from domain.execution import RunStatus
from domain.incident import Status
from domain.plan import PlanStatus
from domain.policy import Tier
from domain.preflight import DryRun, Fidelity, Preflight
from domain.refs import PlanRef
from storage import plans
from storage.engine import new_id, now
from tests.engine import until
from workflows.carrying import Carrying

MINUTE = timedelta(minutes=1)


async def test_a_second_person_heals_the_run(scene):
    """The run that failed on version 2 goes on under version 1, and that it passes is the evidence."""
    run = await scene.break_and_run()
    assert (await scene.decide(await scene.approval())).settled
    healed = await scene.until_run(run.id, RunStatus.SUCCEEDED)
    await scene.until_incident(run.incident, Status.VERIFIED)
    assert (healed.config_version, (await scene.current()).version) == (1, 1)
    assert await scene.chain_is_sound()


async def test_whoever_wrote_the_change_and_started_the_run_may_not_decide(scene):
    """The author is refused with the reason, and the refusal is in the audit log."""
    run = await scene.break_and_run()
    with pytest.raises(SeparationOfDutiesError):
        await scene.decide(await scene.approval(), by=scene.author)
    assert "approval.refused" in await scene.actions(run.incident)


async def test_a_rejection_fails_the_run(scene):
    """Nobody heals a run whose fix was rejected: the incident ends, the run fails, the config stays."""
    run = await scene.break_and_run()
    assert (await scene.decide(await scene.approval(), Choice.REJECT)).settled
    await scene.until_run(run.id, RunStatus.FAILED)
    await scene.until_incident(run.incident, Status.REJECTED)
    assert (await scene.plans(run.incident))[0].status is PlanStatus.REJECTED
    assert (await scene.current()).version == 2


async def test_people_are_reminded_then_the_next_rung_is_asked_then_silence_is_a_no(scene):
    """Every hop is in the audit log at its time by the database's clock; after four hours the run fails."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    story = await scene.story_of(run.incident)
    await scene.advance(14 * MINUTE, story)
    assert "approval.reminded" not in await scene.actions(run.incident)
    await scene.advance(MINUTE, story)
    await scene.until_told(run.incident, "approval.reminded")
    assert "approval.escalated" not in await scene.actions(run.incident)
    await scene.advance(15 * MINUTE, story)
    await scene.until_told(run.incident, "approval.escalated")
    await scene.until_told(run.incident, "approval.reminded", times=2)
    await _happened_after(scene, run.incident, approval, {"approval.reminded": 15, "approval.escalated": 30})
    assert (await scene.approvals())[0].status is ApprovalStatus.OPEN
    await scene.advance(211 * MINUTE, story)
    await scene.until_run(run.id, RunStatus.FAILED)
    await scene.until_incident(run.incident, Status.EXPIRED)
    assert (await scene.approvals())[0].status is ApprovalStatus.EXPIRED
    with pytest.raises(ApprovalClosedError):
        await scene.decide(approval)


async def _happened_after(scene, incident, approval, minutes):
    items = await scene.services.incidents.timeline(scene.author, incident)
    for action, expected in minutes.items():
        first = next(each for each in items if each.action == action)
        assert timedelta(0) <= first.created_at - approval.opened_at - expected * MINUTE < 5 * MINUTE


async def test_a_late_person_still_decides(scene):
    """After half an hour, reminded and escalated, the approval is open, and a decision counts at once."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    await scene.advance(31 * MINUTE, await scene.story_of(run.incident))
    assert (await scene.decide(approval)).settled
    await scene.until_run(run.id, RunStatus.SUCCEEDED)


async def test_a_person_who_resolves_the_incident_ends_the_wait(scene):
    """The approval is withdrawn, the run fails, and nothing was changed."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    await scene.services.incidents.resolve(scene.operator, run.incident)
    await scene.until_run(run.id, RunStatus.FAILED)
    await (await scene.story_of(run.incident)).result()
    assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.WITHDRAWN
    assert (await scene.incident(run.incident)).status is Status.RESOLVED
    with pytest.raises(ApprovalClosedError):
        await scene.decide(approval)


async def test_a_message_without_a_stored_request_decides_nothing(scene):
    """Whoever reaches the engine's port can signal and update; it is audited and changes nothing."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    story, unknown = await scene.story_of(run.incident), RequestId(int=uuid4().int)
    await story.signal(Carrying.approve, unknown)
    with pytest.raises(WorkflowUpdateFailedError):
        await story.execute_update(Carrying.decide, unknown)
    refused = await scene.services.audit.page(scene.tenant.org, AuditFilter(action="request.refused"))
    assert [each.resource_id for each in refused] == [unknown.shown] * 2
    assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.OPEN
    assert (await scene.decide(approval)).settled
    await scene.until_run(run.id, RunStatus.SUCCEEDED)


async def test_a_stored_request_before_the_wait_counts_in_the_wait_alone(scene):
    """A valid request that comes while the plan is rehearsed is refused at both doors; in the wait it counts, once."""
    scene.hold("rehearsal")
    run = await scene.break_and_run()
    await scene.until_held("rehearsal")
    plan = (await scene.plans(run.incident))[0]
    approval = await _opened_early(scene, plan)
    stored = await scene.services.approvals._ask(scene.approver, approval.id, Choice.APPROVE, "seen", None, None)
    story = await scene.story_of(run.incident)
    await story.signal(Carrying.approve, stored.id)
    with pytest.raises(WorkflowUpdateFailedError):
        await story.execute_update(Carrying.decide, stored.id)
    early = await scene.services.approvals.get(scene.author, approval.id)
    assert (early.status, early.decisions) == (ApprovalStatus.OPEN, ())
    scene.release("rehearsal")
    await until(lambda: _counts(story, stored.id), why="the story waits for people")
    await story.signal(Carrying.approve, stored.id)
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    await scene.until_incident(run.incident, Status.VERIFIED)
    assert len((await scene.services.approvals.get(scene.author, approval.id)).decisions) == 1
    assert (await scene.actions(run.incident)).count("grant.given") == 1


async def _opened_early(scene, plan):
    """An approval that an operator has asked for, on a preflight that came before the story's own."""
    database, ref = scene.world.database, PlanRef(org=scene.tenant.org, id=plan.plan.id)
    async with database.transaction(ref.org) as session:
        preflight = Preflight(
            id=PreflightId.of(await new_id(session)),
            plan=ref.id,
            digest=plan.digest,
            dry_runs=tuple(
                DryRun(step=each.index, fidelity=Fidelity.SIMULATED, passed=True, output="ok") for each in plan.plan.steps
            ),
            drift=(),
            refusals=(),
            tier=Tier.HUMAN,
            reasons=(),
            policy_revision=plan.plan.policy_revision,
            valid_until=await now(session) + 60 * MINUTE,
        )
        await plans.add_preflight(session, plan, preflight)
    standing = await scene.services.asking.open(ref)
    return await scene.services.approvals.get(scene.author, standing.approval)


async def _counts(story, request) -> bool:
    """Whether the story takes the request."""
    try:
        await story.execute_update(Carrying.decide, request)
    except WorkflowUpdateFailedError:
        return False
    return True


async def test_a_message_before_the_wait_decides_nothing(scene):
    """What comes while nobody asks is refused or dropped, and the story goes on to ask a person."""
    scene.hold("read")
    await scene.configure("valeu")
    run = await scene.start()
    await scene.until_held("read")
    scene.release("read")
    run = await scene.until_run(run.id, RunStatus.WAITING)
    story, unknown = await scene.story_of(run.incident), RequestId(int=uuid4().int)
    await story.signal(Carrying.approve, unknown)
    await story.signal(Carrying.wake)
    approval = await scene.approval()
    assert approval.decisions == ()
    assert (await scene.decide(approval, Choice.REJECT)).settled
    await scene.until_incident(run.incident, Status.REJECTED)
