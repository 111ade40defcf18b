"""An environment that no worker serves: people hear of it, the wait costs nothing, and it has an end."""

from contextlib import AsyncExitStack
from uuid import uuid4

import pytest_asyncio
from sqlalchemy import text

from domain.audit import AuditFilter
from domain.execution import RunStatus
from domain.incident import Status
from domain.plan import Mode, PlanStatus
from tests.engine import until
from tests.workflows.suggestions import an_incident_at_rest
from worker import open_worker

_ENVIRONMENT = text("insert into environments (org_id, name, is_production) values (:org, :name, true)")


class Pool:
    """The one worker of an environment of the test's own."""

    def __init__(self, world, environment):
        self.environment = environment
        self._world, self._stack = world, AsyncExitStack()

    async def open(self):
        queue, parts = f"execute-{self.environment}", self._world.parts
        worker = open_worker(parts.client, queue, parts.activities_of(queue), self._world.settings)
        await self._stack.enter_async_context(worker)

    async def close(self):
        await self._stack.aclose()
        self._stack = AsyncExitStack()


@pytest_asyncio.fixture
async def pool(world, tenant, superuser):
    pool = Pool(world, f"qa-{uuid4().hex[:8]}")
    async with superuser.begin() as connection:
        await connection.execute(_ENVIRONMENT, {"org": tenant.org, "name": pool.environment})
    await pool.open()
    yield pool
    await pool.close()


async def _noted(scene):
    return await scene.services.audit.page(scene.tenant.org, AuditFilter(action="execution.unserved"))


async def _until_noted(scene):
    async def noted():
        return bool(await _noted(scene))

    await until(noted, why="that nobody serves the environment is noted", within=90)


async def test_a_run_that_nobody_serves_is_noted_and_goes_on_when_somebody_does(set_scene, pool):
    """The worker that comes at last finds the first attempt still to make."""
    scene = await set_scene(environment=pool.environment)
    await pool.close()
    run = await scene.start()
    await _until_noted(scene)
    assert [each.resource_id for each in await _noted(scene)] == [run.id.shown]
    await pool.open()
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    attempts = (await scene.services.runs.get(scene.author, run.id)).attempts
    assert [(each.stage, each.number) for each in attempts] == [("read", 1), ("check", 1)]


async def test_a_run_that_nobody_serves_fails_after_its_time_to_heal(set_scene, pool):
    """As a failed stage does, so that it has an incident; the metric has counted it."""
    scene = await set_scene(environment=pool.environment, heal_within="30s")
    await pool.close()
    run = await scene.start()
    await _until_noted(scene)
    failed = await scene.until_run(run.id, RunStatus.WAITING, RunStatus.FAILED)
    assert (failed.failed_stage, failed.error_code) == ("read", "unserved")
    assert (await scene.incident(failed.incident)).environment == pool.environment
    registry = scene.world.parts.metrics.registry
    assert registry.get_sample_value("suture_unserved_total", {"environment": pool.environment}) == 1


async def test_a_plan_that_nobody_rehearses_is_blocked_when_no_run_waits_any_more(set_scene, pool):
    """The incident's timeline says why, and nothing of the plan is left open."""
    scene = await set_scene(environment=pool.environment, heal_within="50s")
    run = await an_incident_at_rest(scene)
    await pool.close()
    plan = await scene.services.planning.propose(scene.operator, run.incident, Mode.AUTO, None)
    await _until_noted(scene)
    assert await scene.carried(plan) == Status.BLOCKED
    assert (await scene.plans(run.incident))[0].status is PlanStatus.NEEDS_HUMAN
    assert "execution.unserved" in await scene.actions(run.incident)
