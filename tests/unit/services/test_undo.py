"""Undo restores the snapshot: whatever a pipeline's history, a rollback and its undo leave it exactly as it was."""

from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import uuid4

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.actions.base import Situation
from domain.actions.rollback_config import RollbackConfig
from domain.base import IncidentId, PlanId, Value
from domain.evidence import Cause
from domain.identity import Caller
from domain.incident import Severity
from domain.pipeline import PipelineSpec
from domain.plan import Direction, FixPlan, Mode, Step, Target
from domain.versions import Pipeline
from services.guard import Guard
from services.ledger import Ledger
from services.pipeline_runner import PipelineRunner
from services.pipelines import Pipelines
from services.rehearsal import Rehearsal
from services.targets import read
from storage import incidents, remediations
from storage import pipelines as store
from storage.engine import Database
from tests.pipelines import a_spec

LEASE = timedelta(minutes=1)
CONFIGS = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=6)
BOUNDED = settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


class Look(Value):
    """What undo must bring back."""

    pipeline: Pipeline
    target: Target
    snapshot: dict[str, object]
    versions: tuple[object, ...]


@dataclass(frozen=True)
class Bench:
    """A runner, and pipelines with a history."""

    database: Database
    admin: Caller
    runner: PipelineRunner
    pipelines: Pipelines
    incident: IncidentId

    async def pipeline(self, columns: list[str]) -> Pipeline:
        """One version for each change of the column."""
        made = await self.pipelines.apply(self.admin, a_spec(name=f"p-{uuid4().hex[:12]}", column="first"), "0" * 64)
        for column in columns:
            made = await self.pipelines.configure(self.admin, made.id, {"column": column})
        return made

    async def target(self, pipeline: Pipeline) -> Target:
        async with self.database.transaction(self.admin.org) as session:
            return await read(session, Target(kind="pipeline", id=pipeline.id.shown, name=pipeline.name, version=""))

    async def look(self, pipeline: Pipeline) -> Look:
        target = await self.target(pipeline)
        snapshot = dict(await self.runner.snapshot(self.admin.org, target))
        async with self.database.transaction(self.admin.org) as session:
            found = await store.get(session, pipeline.id)
            versions = tuple(await store.versions(session, pipeline.id, limit=50))
        return Look(pipeline=found.model_copy(update={"updated_at": None}), target=target, snapshot=snapshot, versions=versions)

    async def step(self, pipeline: Pipeline, *, used: int, good: int) -> tuple[FixPlan, Step]:
        """The step by which the real remedy rolls back to `good`, for a run that used the version `used`."""
        current = (await self.look(pipeline)).pipeline.version
        async with self.database.transaction(self.admin.org) as session:
            bad_spec, good_spec = [(await store.version(session, pipeline.id, each)).spec for each in (used, good)]
        step = RollbackConfig().steps(_situation(await self.target(pipeline), bad_spec, good_spec, used, good, current))[0]
        return _plan(self.admin, self.incident, step), step

    async def run(self, plan: FixPlan, step: Step, direction: Direction) -> None:
        holder, told = f"fix/{plan.org}/{plan.id}", step.do if direction is Direction.DO else step.undo
        async with self.database.transaction(plan.org) as session:
            fence = await remediations.take_lease(session, plan.org, step.target.key, holder=holder, for_=LEASE)
            found = await read(session, step.target)
        assert told is not None
        result = await self.runner.run(plan, found, told, key=plan.key(step, direction), holder=holder, fence=fence)
        assert result.exit_code == 0
        async with self.database.transaction(plan.org) as session:
            await remediations.release_lease(session, step.target.key, holder=holder)


@pytest_asyncio.fixture(scope="module")
async def bench(database, found_org) -> Bench:
    admin = (await found_org()).admin
    guard = Guard(region="local")
    async with database.transaction(admin.org) as session:
        incident, _ = await incidents.open_or_join(
            session,
            admin.org,
            signature="0" * 64,
            title="a fault",
            service="orders",
            environment="prod",
            severity=Severity.SEV2,
            workflow=None,
            carrier="inc/nobody",
        )
    rehearsal = cast(Rehearsal, None)  # never asked: nothing is rehearsed here
    runner = PipelineRunner(database, guard, rehearsal, lease=LEASE)
    return Bench(database, admin, runner, Pipelines(database, Ledger(), guard), incident.id)


@BOUNDED
@given(CONFIGS, st.data())
async def test_undo_restores_the_snapshot(bench: Bench, columns: list[str], data: st.DataObject):
    """The current version, its config and every version are as before, though the run had used another one."""
    pipeline = await bench.pipeline(columns)
    before = await bench.look(pipeline)
    numbers = st.integers(min_value=1, max_value=before.pipeline.version)
    good, used = data.draw(numbers), data.draw(numbers)
    plan, step = await bench.step(pipeline, used=used, good=good)
    await bench.run(plan, step, Direction.DO)
    assert (await bench.look(pipeline)).snapshot == await _at(bench, pipeline, good)
    await bench.run(plan, step, Direction.UNDO)
    assert await bench.look(pipeline) == before


@BOUNDED
@given(CONFIGS, st.lists(st.integers(min_value=1, max_value=7), min_size=2, max_size=4))
async def test_undoing_in_reverse_restores_the_first_snapshot(bench: Bench, columns: list[str], wanted: list[int]):
    """Several rollbacks, one on top of the other, are put back the last one first."""
    pipeline = await bench.pipeline(columns)
    before = await bench.look(pipeline)
    done = []
    for number in wanted:
        good = min(number, before.pipeline.version)
        done.append(await bench.step(pipeline, used=before.pipeline.version, good=good))
        await bench.run(*done[-1], Direction.DO)
    for plan, step in reversed(done):
        await bench.run(plan, step, Direction.UNDO)
    assert await bench.look(pipeline) == before


async def _at(bench: Bench, pipeline: Pipeline, number: int) -> dict[str, object]:
    async with bench.database.transaction(bench.admin.org) as session:
        spec = (await store.version(session, pipeline.id, number)).spec
    return {"version": number, "config": spec.config}


def _situation(target: Target, bad: PipelineSpec, good: PipelineSpec, used: int, known_good: int, current: int) -> Situation:
    return Situation(
        cause=Cause.CONFIGURATION_DRIFT,
        pipeline=target,
        run=Target(kind="run", id="exe_0", name="exe_0", version="waiting:check:2"),
        failed_stage="check",
        version=used,
        current=current,
        known_good=known_good,
        spec=bad,
        good_spec=good,
    )


def _plan(admin: Caller, incident: IncidentId, step: Step) -> FixPlan:
    return FixPlan(
        id=PlanId(int=uuid4().int),
        org=admin.org,
        incident=incident,
        environment="prod",
        is_production=True,
        action="rollback_config",
        summary="roll back",
        why="a test",
        risk=RollbackConfig.risk,
        reversibility=RollbackConfig.reversibility,
        confidence=1.0,
        mode=Mode.AUTO,
        steps=(step,),
        runner="pipeline",
        runner_version="1",
        policy_revision="1",
    )
