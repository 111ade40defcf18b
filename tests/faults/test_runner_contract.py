"""The fake target's runner keeps the promises of the real one: the same four sentences are true of both."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from domain.actions.base import TOOL
from domain.errors import LeaseLostError, StalePlanError
from domain.plan import Command, Direction, FixPlan, Step, Target
from domain.refs import PlanRef
from domain.stage import ProbeAnswer
from services.guard import Guard
from services.pipeline_runner import PipelineRunner
from storage import plans
from tests.faults.desk import LEASE, Desk, a_target
from tests.pipelines import a_spec, apply


@dataclass
class Bench:
    """A begun plan of two steps on one target, and the runner under test."""

    desk: Desk
    plan: FixPlan
    ref: PlanRef

    def step(self, index: int) -> tuple[Step, str]:
        step = self.plan.steps[index]
        return step, self.plan.key(step, Direction.DO)

    async def fence(self, index: int):
        """The token of an attempt whose intent is stored."""
        step, _ = self.step(index)
        intent: Any = await self.desk.remediation()._steps._intend(self.plan, step, step.do, Direction.DO)
        assert intent is not None
        return intent[1]

    async def run(self, index: int, *, fence: int, version: str):
        step, key = self.step(index)
        target = step.target.model_copy(update={"version": version})
        return await self.desk.runner.run(self.plan, target, step.do, key=key, holder=self.ref.workflow_id, fence=fence)

    async def version(self) -> str:
        return (await self.desk.runner.target(self.plan.org, self.plan.steps[0].target)).version


async def _pipeline_steps(world, tenant, caller) -> tuple[Target, list[Command]]:
    """A real pipeline at version 2, to be set back to 1 and on to 2 again."""
    pipeline = await apply(world.services, caller, a_spec(name=f"p-{uuid4().hex[:8]}"))
    await world.services.pipelines.configure(caller, pipeline.id, {"column": "time"})
    target = Target(kind="pipeline", id=str(pipeline.id), name=pipeline.name, version="?")
    return target, [Command(tool=TOOL, argv=("restore-config", str(pipeline.id), number)) for number in ("1", "2")]


@pytest_asyncio.fixture(params=["ledger", "pipeline"])
async def bench(request, world, desk, tenant, scene):
    target, commands = a_target(), None
    if request.param == "pipeline":
        desk = replace(desk, runner=PipelineRunner(desk.database, Guard(region="local"), None, lease=LEASE))
        target, commands = await _pipeline_steps(world, tenant, scene.caller)
    target = await desk.runner.target(tenant.org, target)
    ref = await desk.granted(target, target, commands=commands)
    remediation = desk.remediation()
    assert (await remediation.begin(ref)).outcome is None
    await remediation.prepare(ref)
    async with desk.database.transaction(ref.org) as session:
        return Bench(desk, (await plans.get(session, ref.id)).plan, ref)


async def test_a_key_has_one_effect(bench):
    """The second run under a key says what the first did, and changes nothing."""
    before, fence = await bench.version(), await bench.fence(0)
    first = await bench.run(0, fence=fence, version=before)
    again = await bench.run(0, fence=fence, version=before)
    assert first == again
    assert before != first.version == await bench.version()


async def test_a_target_at_another_version_is_refused(bench):
    """What is not as the plan expects is left alone."""
    before, fence = await bench.version(), await bench.fence(0)
    with pytest.raises(StalePlanError):
        await bench.run(0, fence=fence, version="another")
    assert await bench.version() == before


async def test_an_older_fence_is_refused(bench):
    """A newer token has been given out, so the older one changes nothing."""
    old = await bench.fence(0)
    done = await bench.run(0, fence=await bench.fence(0), version=await bench.version())
    await bench.fence(1)
    with pytest.raises(LeaseLostError):
        await bench.run(1, fence=old, version=done.version)
    assert await bench.version() == done.version


async def test_a_probe_knows_what_has_happened(bench):
    """It says no before the effect, and afterwards yes with its result."""
    fence = await bench.fence(0)
    step, key = bench.step(0)
    before = await bench.desk.runner.probe(bench.plan, step.target, step.do, key=key)
    result = await bench.run(0, fence=fence, version=await bench.version())
    after = await bench.desk.runner.probe(bench.plan, step.target, step.do, key=key)
    assert before == (ProbeAnswer.NOT_DONE, None)
    assert after == (ProbeAnswer.DONE, result)
    assert bench.plan.digest == bench.desk.plans[0].digest


async def test_an_effect_is_remembered_with_the_version_it_left(bench):
    """Whoever changes the target afterwards is not taken for the effect: an undo would put their work away."""
    step, key = bench.step(0)
    result = await bench.run(0, fence=await bench.fence(0), version=await bench.version())
    await bench.run(1, fence=await bench.fence(1), version=result.version)
    assert await bench.version() != result.version
    assert await bench.desk.runner.probe(bench.plan, step.target, step.do, key=key) == (ProbeAnswer.DONE, result)
