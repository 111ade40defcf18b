"""What a worker knows of an attempt at a stage reaches the database, and what it may not start it does not start."""

import asyncio

import pytest
import pytest_asyncio

from domain.errors import LeaseLostError, UnavailableError
from domain.execution import AttemptStatus, HealingState, Tried
from domain.incident import Status
from domain.stage import Effect, Outcome
from storage import executions, remediations
from storage.engine import Database, open_engine
from tests.workflows.bench import LEASE, Bench, Hands

LONGER_THAN_A_CHECKOUT_S = 2.5


@pytest_asyncio.fixture
async def bench(world, tenant, superuser):
    return await Bench.make(world, tenant, superuser)


@pytest_asyncio.fixture
async def narrow(database_urls):
    """The database over one connection: whoever holds it, the others find none."""
    database = Database(open_engine(database_urls.app, size=1))
    yield database
    await database.close()


async def test_a_result_in_hand_outlives_a_database_without_a_free_connection(bench, narrow):
    """A stage that can be neither repeated nor asked has passed; its worker tells so, and beats, until it is stored."""
    run = await bench.start(await bench.pipeline(notify=Effect.ONCE))
    beats: list[float] = []
    clock = asyncio.get_running_loop().time

    async def hold() -> None:
        async with narrow.transaction(bench.tenant.org):
            held.set()
            await asyncio.sleep(LONGER_THAN_A_CHECKOUT_S)

    async def crowd() -> None:
        holding.append(asyncio.create_task(hold()))
        await held.wait()
        beats.clear()

    held, holding = asyncio.Event(), []
    stages = bench.stages(Hands(meanwhile=crowd), database=narrow)
    said = await stages.run(bench.stage(run, "notify"), heartbeat=lambda: beats.append(clock()))
    (attempt,) = await bench.attempts(run.id)
    assert (said, attempt.status, len(beats) >= 4) == (Tried.PASSED, AttemptStatus.PASSED, True)
    await asyncio.gather(*holding)


async def test_an_ending_is_stored_once(bench):
    """Told again, because the answer was lost, it changes nothing; another ending is refused."""
    run = await bench.start(await bench.pipeline(notify=Effect.ONCE))
    await bench.stages(Hands()).run(bench.stage(run, "notify"), heartbeat=lambda: None)
    (attempt,) = before = await bench.attempts(run.id)
    async with bench.world.database.transaction(bench.tenant.org) as session:
        assert not await executions.end_attempt(session, attempt, AttemptStatus.PASSED, attempt.result)
        with pytest.raises(LeaseLostError):
            await executions.end_attempt(session, attempt, AttemptStatus.LOST, None)
    assert await bench.attempts(run.id) == before


@pytest.mark.parametrize("effect", [Effect.NONE, Effect.KEYED, Effect.ONCE])
async def test_a_worker_that_was_given_up_begins_nothing(bench, effect):
    """It stood still before it stored its intent, and was counted as lost: it wakes, and may not begin; another one does."""
    run = await bench.start(await bench.pipeline(notify=effect))
    late, next_one, hands = bench.stage(run, "notify"), bench.stage(run, "notify"), Hands()
    assert await bench.stages(Hands()).settle(late, heartbeat=lambda: None) is Tried.NOT_DONE
    with pytest.raises(LeaseLostError):
        await bench.stages(hands).run(late, heartbeat=lambda: None)
    assert hands.started == []
    assert await bench.stages(hands).run(next_one, heartbeat=lambda: None) is Tried.PASSED
    with pytest.raises(LeaseLostError):
        await bench.stages(hands).run(late, heartbeat=lambda: None)
    assert hands.started == ["notify"]
    assert [each.status for each in await bench.attempts(run.id)] == [AttemptStatus.LOST, AttemptStatus.PASSED]


async def test_asking_twice_what_a_lost_worker_did_says_the_same(bench):
    """The answer to the first question was lost."""
    run = await bench.start(await bench.pipeline(notify=Effect.ONCE))
    ref = bench.stage(run, "notify")
    said = [await bench.stages(Hands()).settle(ref, heartbeat=lambda: None) for _ in range(2)]
    assert said == [Tried.NOT_DONE, Tried.NOT_DONE]
    assert len(await bench.attempts(run.id)) == 1


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.FAILED])
async def test_what_acts_at_most_once_is_not_started_again_by_itself(bench, outcome):
    """The engine asks for the stage again, as one does that is older than the database: a person has to decide."""
    run = await bench.start(await bench.pipeline(notify=Effect.ONCE))
    hands = Hands(outcomes={"notify": outcome})
    await bench.stages(hands).run(bench.stage(run, "notify"), heartbeat=lambda: None)
    assert await bench.stages(hands).run(bench.stage(run, "notify"), heartbeat=lambda: None) is Tried.UNKNOWN
    assert (hands.started, len(await bench.attempts(run.id))) == (["notify"], 1)


async def test_a_granted_plan_starts_what_acts_at_most_once_one_more_time(bench):
    """Whoever agreed to the plan has decided; the grant is good for one start."""
    run = await bench.start(await bench.pipeline(notify=Effect.ONCE))
    hands = Hands(outcomes={"notify": Outcome.FAILED})
    stages = bench.stages(hands)
    await stages.run(bench.stage(run, "notify"), heartbeat=lambda: None)
    await bench.resumed(run, "notify", by_a_plan=True)
    said = [await stages.run(bench.stage(run, "notify"), heartbeat=lambda: None) for _ in range(2)]
    assert (said, hands.started) == ([Tried.FAILED, Tried.UNKNOWN], ["notify", "notify"])


async def test_a_verdict_alone_does_not_start_what_acts_at_most_once(bench):
    """A run that went on because another one was healed has nobody's word for it."""
    run = await bench.start(await bench.pipeline(notify=Effect.ONCE))
    hands = Hands()
    await bench.stages(hands).run(bench.stage(run, "notify"), heartbeat=lambda: None)
    await bench.resumed(run, "notify", by_a_plan=False)
    assert await bench.stages(hands).run(bench.stage(run, "notify"), heartbeat=lambda: None) is Tried.UNKNOWN
    assert hands.started == ["notify"]


@pytest.mark.parametrize(("effect", "from_stage"), [(Effect.KEYED, "notify"), (Effect.ONCE, None)])
async def test_a_healed_incident_leaves_to_a_person_the_run_that_would_repeat_what_acts_once(bench, effect, from_stage):
    """The current version changes what `notify` uses: a keyed one goes on there, the other fails and can be replayed."""
    run = await bench.start(await bench.pipeline(notify=effect))
    waiting = await bench.failed_at_check(run)
    await bench.pipeline(notify=effect, word="second")
    await bench.closed(waiting, Status.VERIFIED)
    async with bench.world.database.transaction(bench.tenant.org) as session:
        resumption = await remediations.open_resumption(session, run.id)
    assert (resumption and resumption.from_stage) == from_stage
    entries = await bench.entries("run.not_resumed")
    assert len(entries) == (from_stage is None)
    if from_stage is None:
        assert (await bench.world.services.runs.healing(bench.ref(run))).state is HealingState.OVER
        assert await bench.world.services.recovery.replay(bench.caller, run.id, "the letter may be sent again")


async def test_a_stage_that_lives_elsewhere_is_not_started_again(bench, shift):
    """Its worker has lost the engine and keeps the lease in the database: another host waits, however long that takes."""
    run = await bench.start(await bench.pipeline(notify=Effect.KEYED))
    going, enough = asyncio.Event(), asyncio.Event()

    async def long() -> None:
        going.set()
        await enough.wait()

    ref = bench.stage(run, "notify")
    living = asyncio.create_task(bench.stages(Hands(meanwhile=long)).run(ref, heartbeat=lambda: None))
    await going.wait()
    await shift(bench.tenant.org, 10 * LEASE)
    await asyncio.sleep(LEASE.total_seconds())
    elsewhere = bench.stages(Hands(host="elsewhere"))
    with pytest.raises(UnavailableError):
        await elsewhere.settle(ref, heartbeat=lambda: None)
    enough.set()
    assert await living is Tried.PASSED
    assert await elsewhere.settle(ref, heartbeat=lambda: None) is Tried.PASSED


async def test_a_stage_whose_worker_is_gone_is_given_up_after_lease_and_grace(bench, shift):
    """Nobody renews its lease any more; the other host waits for it, then goes on."""
    run = await bench.start(await bench.pipeline(notify=Effect.KEYED))
    ref = bench.stage(run, "notify")
    living = asyncio.create_task(bench.stages(Hands(meanwhile=_for_ever)).run(ref, heartbeat=lambda: None))
    await asyncio.sleep(LEASE.total_seconds())
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
    elsewhere = bench.stages(Hands(host="elsewhere"))
    with pytest.raises(UnavailableError):
        await elsewhere.settle(ref, heartbeat=lambda: None)
    await shift(bench.tenant.org, 10 * LEASE)
    assert await elsewhere.settle(ref, heartbeat=lambda: None) is Tried.NOT_DONE


async def _for_ever() -> None:
    await asyncio.Event().wait()
