"""A run that has ended before its last stage: it can be replayed from there, and what it leaves is over and told."""

import pytest
import pytest_asyncio

from domain.errors import ConflictError
from domain.execution import HealingState, RunStatus
from domain.identity import SwitchLevel
from domain.incident import Status
from domain.resumption import ResumptionOutcome
from domain.stage import Effect
from storage import executions, incidents, remediations
from tests.workflows.bench import Bench, Hands
from tests.workflows.suggestions import an_incident_at_rest


@pytest_asyncio.fixture
async def bench(world, tenant, superuser):
    return await Bench.make(world, tenant, superuser)


async def _stopped(scene):
    """A run whose second stage a kill switch has kept from starting."""
    scene.hold("read")
    run = await scene.start()
    await scene.until_held("read")
    await scene.services.switches.engage(scene.approver, SwitchLevel.WORKFLOW, "orders", "something is wrong")
    scene.release("read")
    return await scene.until_run(run.id, RunStatus.FAILED)


async def test_a_stopped_run_is_replayed_from_the_stage_it_stood_at(scene):
    """After the release a second person agrees; the stage that was kept from starting runs, the one before it does not."""
    run = await _stopped(scene)
    assert (run.error_code, run.failed_stage) == ("stopped", "check")
    await scene.services.switches.release(scene.tenant.admin, SwitchLevel.WORKFLOW, "orders", "it was nothing")
    await scene.services.recovery.replay(scene.operator, run.id, "the switch is released")
    await scene.decide(await scene.approval())
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    attempts = (await scene.services.runs.get(scene.author, run.id)).attempts
    assert [(each.stage, each.status) for each in attempts if each.kind == "run"] == [
        ("read", "passed"), ("check", "refused"), ("check", "passed")
    ]  # fmt: skip


async def test_the_incident_of_a_stopped_run_is_over_at_once(scene):
    """Nothing waits in it to be healed: no plan, no approval, and an entry that says so."""
    run = await _stopped(scene)
    incident = await scene.incident(run.incident)
    assert (incident.status, incident.ended_at is not None) == (Status.NEEDS_HUMAN, True)
    assert await scene.actions(run.incident) == ["incident.opened", "incident.ended"]
    assert (await scene.plans(run.incident), await scene.approvals()) == ([], [])


async def test_an_incident_at_rest_ends_with_its_last_run_and_says_so(scene):
    """Cancelled while a person should have looked: nobody waits any more, and that is in the audit log."""
    run = await an_incident_at_rest(scene)
    await scene.run_of(run).cancel()
    await scene.until_run(run.id, RunStatus.CANCELLED)
    ended = await scene.incident(run.incident)
    assert ended.ended_at is not None
    assert (await scene.actions(run.incident))[-1] == "incident.ended"
    with pytest.raises(ConflictError, match="cannot become diagnosing"):
        async with scene.world.database.transaction(scene.tenant.org) as session:
            await incidents.move(session, ended, Status.DIAGNOSING)


@pytest.mark.parametrize(("passed", "stage"), [((), "notify"), (("notify",), "check")])
async def test_an_abandoned_run_is_replayed_from_the_stage_it_stood_at(bench, passed, stage):
    """It has failed in an incident of its own, at the first stage that had not passed."""
    run = await bench.start(await bench.pipeline(notify=Effect.KEYED))
    for each in passed:
        await bench.stages(Hands()).run(bench.stage(run, each), heartbeat=lambda: None)
    await bench.world.services.runs.abandon(bench.ref(run))
    ended = await bench.run(run.id)
    assert (ended.status, ended.error_code, ended.failed_stage) == (RunStatus.FAILED, "abandoned", stage)
    assert (await bench.world.services.recovery.replay(bench.caller, run.id, "the host is back")).execution == run.id


async def test_a_run_abandoned_as_it_goes_on_is_replayed_from_there(bench):
    """A plan has let it go on at an earlier stage than the one that had failed, and nothing of that has run yet."""
    run = await bench.failed_at_check(await bench.start(await bench.pipeline(notify=Effect.KEYED)))
    await bench.resumed(run, "notify", by_a_plan=False)
    await bench.world.services.runs.begin(bench.ref(run))
    await bench.world.services.runs.abandon(bench.ref(run))
    assert (await bench.run(run.id)).failed_stage == "notify"


async def test_a_replay_that_is_stopped_before_the_run_goes_on_ends_it_again(bench):
    """Its incident is over, so nobody would heal the run: it does not wait for that, and can be replayed once more."""
    run = await bench.start(await bench.pipeline(notify=Effect.KEYED))
    await bench.world.services.runs.abandon(bench.ref(run))
    resumption = await bench.resumed(run, "notify", by_a_plan=True)
    async with bench.world.database.transaction(bench.tenant.org) as session:
        await executions.change(session, run.id, status=RunStatus.WAITING, finished_at=None, heal_by=None)
        await remediations.finish_resumption(session, resumption, ResumptionOutcome.FAILED)
    assert (await bench.world.services.runs.healing(bench.ref(run))).state is HealingState.OVER
    ended = await bench.run(run.id)
    assert (ended.status, ended.error_message) == (RunStatus.FAILED, "the incident ended as needs_human")
    assert await bench.world.services.recovery.replay(bench.caller, run.id, "the switch is released")
    assert len(await bench.entries("incident.ended")) == 1
