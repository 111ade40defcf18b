"""Chapter 4: the executing worker is killed at five points around an effect, and the target still shows one a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import asyncpg

from demo.client import until
from demo.holds import Holds, Point
from demo.scene import Scene, apply, ended, run
from demo.workers import executing, is_alive, kill
from domain.base import ExecutionId, OrgId
from domain.execution import AttemptKind, AttemptStatus
from domain.pipeline import PipelineSpec, StageSpec
from domain.stage import Effect

_SWITCH = "select from kill_switches where org_id = $1 and level = 'org' for update"
_ATTEMPT = "select from stage_attempts where execution_id = $1 and stage = $2 and status = 'started' for update"
_INTENDED = "select 1 from stage_attempts where execution_id = $1 and stage = $2 and status = 'intent'"


@dataclass(frozen=True)
class _Held:
    """A pipeline whose effect can be held up, and the stage that has it."""

    pipeline: str
    stage: StageSpec
    holds: Holds


async def killed_workers(scene: Scene, spec: PipelineSpec) -> None:
    """Two points are reached by locking the row that is read there, three by the stage's own waiting on a file."""
    stage = next(each for each in spec.stages if each.effect is not Effect.NONE)
    holds = Holds(scene.holds)
    held_up = holds.applied(spec, stages=(*stage.needs, stage.name))
    held = _Held(str((await apply(scene.cast.ana, held_up, scene.material.code))["id"]), stage, holds)
    await _judge(scene, held, "after the intent", await _after_the_intent(scene, held), is_done=False)
    for point in (Point.BEFORE_TRANSACTION, Point.INSIDE_TRANSACTION, Point.AFTER_COMMIT):
        where, execution = f"at {point.replace('_', ' ')}", await _inside(scene, held, point)
        await _judge(scene, held, where, execution, is_done=point is Point.AFTER_COMMIT)
    await _judge(scene, held, "before the receipt", await _before_the_receipt(scene, held), is_done=True)


async def _after_the_intent(scene: Scene, held: _Held) -> str:
    execution = await _stopped(scene, held, Point.STAGE_BEFORE)
    async with _locked(scene, _SWITCH, OrgId.of((await scene.cast.omar.get("/automatic"))["org_id"])) as database:
        held.holds.release(Point.STAGE_BEFORE)

        async def intended() -> bool | None:
            is_stored = await database.fetchval(_INTENDED, ExecutionId.of(execution), held.stage.name)
            return True if is_stored and executing(scene.workers) is not None else None

        await until(intended, what=f"the intent of {held.stage.name}")
        await _killed(await _worker(scene))
    return execution


async def _inside(scene: Scene, held: _Held, point: Point) -> str:
    execution = await _stopped(scene, held, point)
    await _killed(await _worker(scene))
    held.holds.release(point)
    return execution


async def _before_the_receipt(scene: Scene, held: _Held) -> str:
    execution = await _stopped(scene, held, Point.AFTER_COMMIT)
    worker = await _worker(scene)
    async with _locked(scene, _ATTEMPT, ExecutionId.of(execution), held.stage.name):
        held.holds.release(Point.AFTER_COMMIT)

        async def stage_is_over() -> bool | None:
            return True if executing(scene.workers) is None else None

        await until(stage_is_over, what=f"{held.stage.name} to end")
        await _killed(worker)
    return execution


async def _stopped(scene: Scene, held: _Held, point: Point) -> str:
    """A run whose stage stands at `point`."""
    held.holds.arm(point)
    execution = await run(scene.cast.omar, held.pipeline)

    async def reached() -> bool | None:
        return held.holds.is_reached(point) or None

    await until(reached, what=f"the stage to come to {point}")
    return execution


async def _worker(scene: Scene) -> int:
    """The worker that runs the stage; one that is not found ends the chapter."""

    async def found() -> int | None:
        return executing(scene.workers)

    return await until(found, what="the executing worker")


async def _killed(worker: int) -> None:
    """Return once the stage's tree has died with its worker, so that nothing of it goes on when it is let go."""
    below = kill(worker)

    async def gone() -> bool | None:
        return None if any(is_alive(each) for each in below) else True

    await until(gone, what="the stage's tree to die with its worker")


async def _judge(scene: Scene, held: _Held, where: str, execution: str, *, is_done: bool) -> None:
    """The kill has left a lost attempt, what followed it is as the effect's class says, and the target shows one effect."""
    done = await ended(scene.cast.omar, execution)
    tries = [
        each for each in (await scene.cast.omar.get(f"/executions/{execution}"))["attempts"] if each["stage"] == held.stage.name
    ]
    times = (await scene.target.effects()).get(tries[0]["step_key"], 0)
    told = [(AttemptKind(each["kind"]), AttemptStatus(each["status"])) for each in tries]
    shown = ", ".join(f"{kind} {status}" for kind, status in told)
    scene.say(f"  killed {where}: {shown}; run {done['status']}, the target shows {times} effect for its step key")
    scene.expect(done["status"] == "succeeded", f"killed {where}, the run is {done['status']}")
    scene.expect(
        [each for each, _ in groupby(told)] == _left(held.stage.effect, is_done=is_done),
        f"killed {where}, the attempts are {shown}",
    )
    scene.expect(times == 1, f"killed {where}, the target shows {times} effects")


def _left(effect: Effect, *, is_done: bool) -> list[tuple[AttemptKind, AttemptStatus]]:
    """The attempts after a kill: probes find what is done, and where nothing is, the stage is started once more."""
    lost, again = (AttemptKind.RUN, AttemptStatus.LOST), (AttemptKind.RUN, AttemptStatus.PASSED)
    if effect is not Effect.PROBE:
        return [lost, again]
    if is_done:
        return [lost, (AttemptKind.PROBE, AttemptStatus.PASSED)]
    return [lost, (AttemptKind.PROBE, AttemptStatus.FAILED), again]


@asynccontextmanager
async def _locked(scene: Scene, statement: str, *keys: OrgId | ExecutionId | str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """Hold the row that `statement` locks for as long as the block lasts."""
    server = scene.server
    database = await asyncpg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=server.database, timeout=10
    )
    try:
        async with database.transaction():
            await database.fetch(statement, *keys)
            yield database
    finally:
        await database.close()
