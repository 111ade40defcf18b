"""What a worker knows of an attempt at a stage reaches the database, and what it may not start it does not start."""

import asyncio

import pytest
import pytest_asyncio

from domain.errors import LeaseLostError
from domain.execution import AttemptStatus, Tried
from domain.stage import Effect
from storage import executions
from storage.engine import Database, open_engine
from tests.workflows.bench import Bench, Hands

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
