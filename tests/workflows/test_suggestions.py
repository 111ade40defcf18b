"""Plans that a person asks for, plans that need no person, and replays of what failed for good."""

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus

from domain.approval import Choice, GrantStatus
from domain.audit import AuditFilter
from domain.base import RequestId
from domain.errors import ConflictError, SeparationOfDutiesError
from domain.execution import RunStatus
from domain.identity import Role
from domain.incident import Status
from domain.plan import Mode, PlanStatus
from domain.policy import Tier
from domain.recovery import RecoveryOutcome
from storage import approvals
from tests.engine import until
from tests.workflows.suggestions import a_granted_suggestion, a_suggestion, an_incident_at_rest


async def _grant(scene, plan):
    async with scene.world.database.transaction(scene.tenant.org) as session:
        return (await approvals.grant_of(session, plan.plan.id)).status


async def test_a_suggestion_is_executed_at_an_operators_word(scene):
    """Granted, it waits; an operator's word executes it, and the run goes on."""
    plan, _ = await a_granted_suggestion(scene)
    assert (await scene.current()).version == 2
    submitted = await scene.services.approvals.request_execution(scene.operator, plan.plan.id)
    assert submitted.settled
    assert await scene.carried(plan) == Status.VERIFIED
    incident = await scene.until_incident(plan.plan.incident, Status.VERIFIED)
    assert (incident.waiting_runs, (await scene.current()).version) == ((), 1)
    assert await _grant(scene, plan) is GrantStatus.CONSUMED


async def test_a_word_whose_answer_got_lost_is_said_again(scene):
    """Under the same request an approval and an order to execute find what they came to, even after the workflow went on."""
    plan, approval = await a_suggestion(scene)
    services, word, order = scene.services.approvals, RequestId(int=uuid4().int), RequestId(int=uuid4().int)
    said = [await services.submit(scene.approver, approval.id, Choice.APPROVE, request=word) for _ in range(2)]
    ordered = await services.request_execution(scene.operator, plan.plan.id, request=order)
    assert await scene.carried(plan) == Status.VERIFIED
    again = [
        await services.submit(scene.approver, approval.id, Choice.APPROVE, request=word),
        await services.request_execution(scene.operator, plan.plan.id, request=order),
    ]
    assert [(each.request, each.settled) for each in (*said, ordered, *again)] == [(word, True)] * 2 + [
        (order, True),
        (word, True),
        (order, True),
    ]
    assert len((await services.get(scene.author, approval.id)).decisions) == 1


async def test_a_grant_that_nobody_uses_expires(scene):
    """After its hour the grant is over, the plan too, and the run fails."""
    plan, _ = await a_granted_suggestion(scene)
    await scene.advance(timedelta(minutes=61), scene.handle(plan.carrier))
    assert await scene.carried(plan) == Status.EXPIRED
    assert await _grant(scene, plan) is GrantStatus.EXPIRED
    with pytest.raises(ConflictError):
        await scene.services.approvals.request_execution(scene.operator, plan.plan.id)
    await scene.until_incident(plan.plan.incident, Status.EXPIRED)


async def test_an_approver_revokes_an_unused_grant(scene):
    """Revoked, it can no longer be used."""
    plan, approval = await a_granted_suggestion(scene)
    await scene.services.approvals.revoke(scene.approver, approval.id)
    assert await scene.carried(plan) == Status.REJECTED
    assert await _grant(scene, plan) is GrantStatus.REVOKED
    with pytest.raises(ConflictError):
        await scene.services.approvals.request_execution(scene.operator, plan.plan.id)
    assert (await scene.current()).version == 2


async def _flaky(scene):
    (scene.folder / "flaky-check").touch()
    run = await scene.start()

    async def failed() -> bool:
        return (await scene.run(run.id)).incident is not None

    await until(failed, why="the flaky stage fails")
    return await scene.run(run.id)


async def test_a_held_automatic_mode_asks_a_person(set_scene):
    """The mode boots held: what policy would let run alone waits for a person."""
    scene = await set_scene(environment="dev", dry_run=False)
    run = await _flaky(scene)
    approval = await scene.approval()
    assert (await scene.plans(run.incident))[0].plan.action == "retry_stage"
    await scene.decide(approval)
    await scene.until_run(run.id, RunStatus.SUCCEEDED)


async def test_a_released_automatic_mode_heals_without_a_person(set_scene):
    """A flaky upstream in `dev` is healed by a retry that policy grants alone."""
    scene = await set_scene(environment="dev", dry_run=False)
    await scene.services.switches.set_automatic(scene.operator, released=True)
    run = await _flaky(scene)
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    await scene.until_incident(run.incident, Status.VERIFIED)
    plan = (await scene.plans(run.incident))[0]
    view = await scene.services.planning.view(scene.author, plan.plan.id)
    assert (plan.plan.action, plan.status, view.preflight.tier) == ("retry_stage", PlanStatus.VERIFIED, Tier.AUTO)
    assert await scene.approvals() == []


async def _rejected(scene):
    """A run that failed for good, whose cause is mended by now."""
    (scene.folder / "flaky-check").touch()
    await scene.configure("time")
    run = await scene.start()
    await scene.decide(await scene.approval(), Choice.REJECT)
    return await scene.until_run(run.id, RunStatus.FAILED)


async def _outcome(scene, recovery):
    found = []

    async def is_over() -> bool:
        events = await scene.services.recovery.events(scene.author, after=None, limit=10)
        found[:] = [each.outcome for each in events if each.id == recovery.id]
        return bool(found and found[0])

    await until(is_over, why="the recovery ends")
    return found[0]


async def _entries(scene):
    """What the audit log says of recoveries, the newest first."""
    entries = await scene.services.audit.page(scene.tenant.org, AuditFilter(), limit=200)
    return [each.action for each in entries if each.action.startswith("recovery.")]


async def test_a_failed_run_is_replayed_from_the_stage_that_failed(scene):
    """A second person agrees, the failed stage passes, and what passed before is not run again; the audit log tells both."""
    run = await _rejected(scene)
    recovery = await scene.services.recovery.replay(scene.operator, run.id, "the upstream is back")
    await scene.decide(await scene.approval())
    assert (await scene.until_run(run.id, RunStatus.SUCCEEDED)).config_version == run.config_version
    assert await _outcome(scene, recovery) is RecoveryOutcome.RECOVERED
    assert await _entries(scene) == ["recovery.recovered", "recovery.requested"]
    attempts = (await scene.services.runs.get(scene.author, run.id)).attempts
    assert [(each.stage, each.status) for each in attempts if each.kind == "run"] == [
        ("read", "passed"), ("check", "failed"), ("check", "passed")
    ]  # fmt: skip


async def test_a_replay_that_fails_again(scene):
    """Its outcome says so, and the run waits in an incident of its own."""
    run = await _rejected(scene)
    recovery = await scene.services.recovery.replay(scene.operator, run.id, "perhaps")
    approval = await scene.approval()
    (scene.folder / "flaky-check").touch()
    await scene.decide(approval)
    assert await _outcome(scene, recovery) is RecoveryOutcome.FAILED_AGAIN
    again = await scene.until_run(run.id, RunStatus.WAITING)
    assert again.incident != run.incident


async def test_a_replay_that_nobody_wants(scene):
    """Rejected, it changes nothing; and only a run that failed is replayed at all."""
    run = await _rejected(scene)
    recovery = await scene.services.recovery.replay(scene.operator, run.id, "perhaps")
    await scene.decide(await scene.approval(), Choice.REJECT)
    assert await _outcome(scene, recovery) is RecoveryOutcome.REFUSED
    assert await _entries(scene) == ["recovery.refused", "recovery.requested"]
    assert (await scene.run(run.id)).status is RunStatus.FAILED
    healthy = await scene.start()
    await scene.until_run(healthy.id, RunStatus.SUCCEEDED)
    with pytest.raises(ConflictError):
        await scene.services.recovery.replay(scene.operator, healthy.id, "why not")


async def test_a_person_who_wrote_the_current_version_cannot_approve(scene, add_person):
    """The run used one version and another has come since: the plan moves away from what that author wrote."""
    run = await an_incident_at_rest(scene)
    other = await add_person(scene.tenant, Role.AUTHOR, Role.APPROVER)
    await scene.configure("amount", by=other)
    plan = await scene.services.planning.propose(scene.operator, run.incident, Mode.SUGGEST, None)
    approval = await scene.approval()
    assert other.id in plan.plan.authors
    with pytest.raises(SeparationOfDutiesError):
        await scene.decide(approval, by=other)


async def test_one_workflow_at_a_time_carries_a_plan_for_an_incident(scene):
    """While a person's plan waits, another run that fails alike makes no second plan and ends nothing."""
    plan, approval = await a_suggestion(scene)
    made = [each.plan.id for each in await scene.plans(plan.plan.incident)]
    another = await scene.start()
    await scene.until_run(another.id, RunStatus.WAITING)
    story = await scene.story_of(plan.plan.incident)

    async def is_told() -> bool:
        return (await story.describe()).status is WorkflowExecutionStatus.COMPLETED

    await until(is_told, why="the story that the second run has woken ends")
    assert [each.plan.id for each in await scene.plans(plan.plan.incident)] == made
    assert (await scene.incident(plan.plan.incident)).status is Status.AWAITING_APPROVAL
    await scene.decide(approval)
    await scene.services.approvals.request_execution(scene.operator, plan.plan.id)
    assert await scene.carried(plan) == Status.VERIFIED
    await scene.until_run(another.id, RunStatus.SUCCEEDED)
