"""What happens at once: many deciders, changes after an approval, runs that meet in one incident."""

import asyncio
from datetime import timedelta

import pytest

from domain.approval import ApprovalStatus, GrantStatus
from domain.errors import ApprovalClosedError, StalePlanError, UnavailableError
from domain.execution import RunStatus
from domain.identity import Role
from domain.incident import Status
from domain.plan import PlanStatus
from storage import approvals
from tests.engine import until
from tests.workflows.locks import INCIDENT, RUN, locked
from tests.workflows.suggestions import a_granted_suggestion

PEOPLE = 50


async def test_fifty_people_approve_at_once(scene, add_person):
    """One decision counts and one grant is given; the others hear that the approval is closed."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    people = [await add_person(scene.tenant, Role.APPROVER) for _ in range(PEOPLE)]
    outcomes = await asyncio.gather(*(_insist(scene, approval, person) for person in people))
    assert sum(outcomes) <= 1
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    decided = await scene.services.approvals.get(scene.author, approval.id)
    assert len(decided.decisions) == 1
    assert (await scene.actions(run.incident)).count("grant.given") == 1


async def _insist(scene, approval, person) -> bool:
    """Whether this person hears that the word counts; who hears that there is no room, or nothing yet, asks again."""
    while True:
        try:
            if (await scene.decide(approval, by=person)).settled:
                return True
        except ApprovalClosedError:
            return False
        except UnavailableError:
            await asyncio.sleep(0.05)


async def test_a_target_edited_after_the_approval(scene):
    """Execution is refused as stale, the grant is void, and a new plan asks anew."""
    plan, approval = await a_granted_suggestion(scene)
    await scene.configure("vallue")
    with pytest.raises(StalePlanError):
        await scene.services.approvals.request_execution(scene.operator, plan.plan.id)
    newer = await scene.approval(other_than=approval)
    plans = {each.plan.id: each for each in await scene.plans(plan.plan.incident)}
    assert (plans[newer.plan].plan.supersedes, plans[plan.plan.id].status) == (plan.plan.id, PlanStatus.SUPERSEDED)
    async with scene.world.database.transaction(scene.tenant.org) as session:
        assert (await approvals.grant_of(session, plan.plan.id)).status is GrantStatus.VOID
    assert (await scene.current()).version == 3


async def test_a_target_edited_while_people_decide(scene):
    """The approval of what is no longer there executes nothing: the plan is made anew and asks again."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    await scene.configure("vallue")
    await scene.decide(approval)
    newer = await scene.approval(other_than=approval)
    assert (await scene.plans(run.incident))[0].plan.id == newer.plan
    assert (await scene.current()).version == 3
    await scene.decide(newer)
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    assert (await scene.current()).version == 1


async def test_a_target_that_drifts_again_and_again(scene):
    """The plan is made anew three times; then a person has to look."""
    run = await scene.break_and_run()
    approval = None
    for attempt in range(4):
        approval = await scene.approval(other_than=approval)
        await scene.configure(f"value{attempt}")
        await scene.decide(approval)
    await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    assert [each.status for each in await scene.plans(run.incident)] == [PlanStatus.SUPERSEDED] * 4
    assert not any(action.startswith("step.") for action in await scene.actions(run.incident))


async def test_two_runs_with_one_signature_share_one_incident(scene):
    """One of them is the evidence; the other goes on after the verdict."""
    first = await scene.break_and_run()
    approval = await scene.approval()
    second = await scene.until_run((await scene.start()).id, RunStatus.WAITING)
    assert second.incident == first.incident
    assert (await scene.incident(first.incident)).event_count == 2
    await scene.decide(approval)
    for run in (first, second):
        assert (await scene.until_run(run.id, RunStatus.SUCCEEDED)).config_version == 1
    await scene.until_incident(first.incident, Status.VERIFIED)
    assert len(await scene.approvals()) == 1


async def test_the_next_run_does_not_wait_for_a_waiting_one(scene):
    """A run that is due while another waits to be healed runs, and passes on the config of now."""
    waiting = await scene.break_and_run()
    await scene.approval()
    await scene.configure("time")
    later = await scene.start()
    await scene.until_run(later.id, RunStatus.SUCCEEDED)
    assert (await scene.run(waiting.id)).status is RunStatus.WAITING


async def test_a_run_that_registers_before_its_incident_closes_is_healed_with_it(scene, superuser):
    """Both want the incident's row and the run comes first: it waits in that incident, and goes on after its verdict."""
    first = await scene.break_and_run()
    approval = await scene.approval()
    scene.hold("read")
    late = await scene.start()
    await scene.until_held("read")
    scene.hold("check")
    await scene.decide(approval)
    await scene.until_run(first.id, RunStatus.RUNNING)
    async with locked(superuser, INCIDENT, org=scene.tenant.org, id=first.incident) as waiters:
        scene.release("read")
        await until(lambda: waiters(1), why="the late run registers")
        await scene.until_held("check")
        scene.release("check")
        await until(lambda: waiters(2), why="the story goes on to its end")
    for run in (first, late):
        assert (await scene.until_run(run.id, RunStatus.SUCCEEDED)).config_version == 1
    closed = await scene.until_incident(first.incident, Status.VERIFIED)
    assert ((await scene.run(late.id)).incident, closed.event_count) == (first.incident, 2)
    assert len(await scene.approvals()) == 1


async def test_a_run_that_registers_while_its_incident_closes_opens_the_next(scene, superuser):
    """The incident is closing and holds its row as it resumes another run: the late one waits in the next, which asks anew."""
    first = await scene.break_and_run()
    other = await scene.until_run((await scene.start()).id, RunStatus.WAITING)
    approval = await scene.approval()
    async with locked(superuser, RUN, org=scene.tenant.org, id=other.id) as waiters:
        await scene.decide(approval)
        await until(lambda: waiters(1), why="the incident closes")
        await scene.configure("valeu")
        late = await scene.start()
        await until(lambda: waiters(2), why="the late run registers")
        assert (await scene.incident(first.incident)).status is Status.EXECUTING
    late = await scene.until_run(late.id, RunStatus.WAITING)
    await scene.until_incident(first.incident, Status.VERIFIED)
    assert late.incident not in {None, first.incident}
    assert (await scene.incident(first.incident)).event_count == 2
    await scene.decide(await scene.approval(other_than=approval))
    assert (await scene.until_run(late.id, RunStatus.SUCCEEDED)).config_version == 1
    await scene.until_incident(late.incident, Status.VERIFIED)


async def test_nobody_heals_a_run_in_time(set_scene):
    """After `heal_within` the run fails; an approval given later finds nothing to heal and changes nothing."""
    scene = await set_scene(heal_within="1h")
    run = await scene.break_and_run()
    approval = await scene.approval()
    await scene.advance(timedelta(minutes=59), scene.run_of(run))
    assert (await scene.run(run.id)).status is RunStatus.WAITING
    await scene.advance(timedelta(minutes=2), scene.run_of(run))
    failed = await scene.until_run(run.id, RunStatus.FAILED)
    assert failed.error_message == "nobody healed the run in time"
    await scene.decide(approval)
    assert await (await scene.story_of(run.incident)).result() == Status.NEEDS_HUMAN
    assert (await scene.current()).version == 2
    assert (await scene.approvals(ApprovalStatus.OPEN)) == []
