"""An environment that no worker serves: people hear of it, the wait costs nothing, and it has an end."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest_asyncio
from sqlalchemy import text

from domain.audit import AuditFilter
from domain.execution import RunStatus
from domain.identity import SwitchLevel
from domain.incident import Status
from domain.plan import Mode, PlanStatus
from storage import switches
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
async def unserved(world, found_org, superuser, set_scene):
    """Scenes of orgs and environments of their own, with the one worker of each."""
    async with AsyncExitStack() as stack:

        async def make(**wanted):
            tenant, pool = await found_org(), Pool(world, f"qa-{uuid4().hex[:8]}")
            async with superuser.begin() as connection:
                await connection.execute(_ENVIRONMENT, {"org": tenant.org, "name": pool.environment})
            await pool.open()
            stack.push_async_callback(pool.close)
            return await set_scene(environment=pool.environment, of=tenant, **wanted), pool

        yield make


async def _noted(scene):
    return await scene.services.audit.page(scene.tenant.org, AuditFilter(action="execution.unserved"))


async def _until_noted(scene):
    async def noted():
        return bool(await _noted(scene))

    await until(noted, why="that nobody serves the environment is noted", within=90)


async def test_work_that_nobody_serves_is_noted_and_its_wait_ends(unserved):
    """The minute after which it is noted is a real one, so the stories wait for theirs together."""
    stories = (
        _goes_on_when_somebody_comes,
        _fails_after_its_time_to_heal,
        _is_blocked_when_no_run_waits_any_more,
        _is_undone_when_somebody_comes,
        _is_noted_when_nobody_prepares,
    )
    async with asyncio.TaskGroup() as group:
        for story in stories:
            group.create_task(story(unserved))


async def _goes_on_when_somebody_comes(unserved):
    """The worker that comes at last finds the first attempt of the run still to make."""
    scene, pool = await unserved()
    await pool.close()
    run = await scene.start()
    await _until_noted(scene)
    assert [each.resource_id for each in await _noted(scene)] == [run.id.shown]
    await pool.open()
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    attempts = (await scene.services.runs.get(scene.author, run.id)).attempts
    assert [(each.stage, each.number) for each in attempts] == [("read", 1), ("check", 1)]


async def _fails_after_its_time_to_heal(unserved):
    """A run fails as with a failed stage, so that it has an incident; the metric has counted it."""
    scene, pool = await unserved(heal_within="30s")
    await pool.close()
    run = await scene.start()
    await _until_noted(scene)
    failed = await scene.until_run(run.id, RunStatus.FAILED)
    assert (failed.failed_stage, failed.error_code) == ("read", "unserved")
    assert (await scene.incident(failed.incident)).environment == pool.environment
    registry = scene.world.parts.metrics.registry
    assert registry.get_sample_value("suture_unserved_total", {"environment": pool.environment}) == 1


async def _is_blocked_when_no_run_waits_any_more(unserved):
    """A plan that nobody rehearses ends, the incident's timeline says why, and nothing of the plan is left open."""
    scene, pool = await unserved(heal_within="50s")
    run = await an_incident_at_rest(scene)
    await pool.close()
    plan = await scene.services.planning.propose(scene.operator, run.incident, Mode.AUTO, None)
    await _until_noted(scene)
    assert await scene.carried(plan) == Status.BLOCKED
    assert (await scene.plans(run.incident))[0].status is PlanStatus.NEEDS_HUMAN
    assert "execution.unserved" in await scene.actions(run.incident)


async def _is_undone_when_somebody_comes(unserved):
    """An undo waits for a worker too: that none was there for minutes is no undo that failed, and throws no switch."""
    scene, pool = await unserved()
    run = await scene.break_and_run()
    approval = await scene.approval()
    scene.hold("check")
    await scene.decide(approval)
    await scene.until_held("check")
    (plan,) = await scene.plans(run.incident)
    await pool.close()
    scene.release("check")
    await scene.remediation_of(plan).cancel()
    await _until_noted(scene)
    await pool.open()
    await scene.until_told(run.incident, "remediation.rolled_back")
    assert (await scene.current()).version == 2
    async with scene.world.database.transaction(scene.tenant.org) as session:
        assert await switches.get(session, SwitchLevel.WORKFLOW, "orders") is None


async def _is_noted_when_nobody_prepares(unserved):
    """A granted plan whose environment has lost its workers says so; cancelled, it has done nothing and throws no switch."""
    scene, pool = await unserved()
    run = await scene.break_and_run()
    approval = await scene.approval()
    await pool.close()
    await scene.decide(approval)
    await _until_noted(scene)
    (plan,) = await scene.plans(run.incident)
    await scene.remediation_of(plan).cancel()
    await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    assert (await scene.current()).version == 2
    async with scene.world.database.transaction(scene.tenant.org) as session:
        assert await switches.get(session, SwitchLevel.WORKFLOW, "orders") is None
