"""Chapter 4: the executing worker is killed at five points around `load`, and the target still shows one effect a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from demo.chapters import CODE
from demo.client import until
from demo.holds import Holds, Point
from demo.scene import Scene, apply, ended, run
from demo.workers import executing, kill
from domain.base import ExecutionId, OrgId
from domain.pipeline import PipelineSpec

_HELD = ("join", "load")
_SWITCH = "select from kill_switches where org_id = $1 and level = 'org' for update"
_ATTEMPT = "select from stage_attempts where execution_id = $1 and stage = 'load' and status = 'started' for update"
_INTENDED = "select 1 from stage_attempts where execution_id = $1 and stage = 'load' and status = 'intent'"


async def killed_workers(scene: Scene, spec: PipelineSpec) -> None:
    """Two points are reached by locking the row that is read there, three by the stage's own waiting on a file."""
    holds = Holds(scene.holds)
    pipeline = str((await apply(scene.cast.ana, holds.applied(spec, stages=_HELD), CODE))["id"])
    await _judge(scene, "after the intent", await _after_the_intent(scene, holds, pipeline))
    for point in (Point.BEFORE_TRANSACTION, Point.INSIDE_TRANSACTION, Point.AFTER_COMMIT):
        await _judge(scene, f"at {point.replace('_', ' ')}", await _inside(scene, holds, pipeline, point))
    await _judge(scene, "before the receipt", await _before_the_receipt(scene, holds, pipeline))


async def _after_the_intent(scene: Scene, holds: Holds, pipeline: str) -> str:
    execution = await _held(scene, holds, pipeline, Point.BEFORE_JOIN)
    async with _locked(scene, _SWITCH, OrgId.of((await scene.cast.omar.get("/automatic"))["org_id"])) as database:
        holds.release(Point.BEFORE_JOIN)

        async def intended() -> bool | None:
            is_stored = await database.fetchval(_INTENDED, ExecutionId.of(execution))
            return True if is_stored and executing(scene.workers) is not None else None

        await until(intended, what="the intent of load")
        await _kill(scene)
    return execution


async def _inside(scene: Scene, holds: Holds, pipeline: str, point: Point) -> str:
    execution = await _held(scene, holds, pipeline, point)
    await _kill(scene)
    holds.release(point)
    return execution


async def _before_the_receipt(scene: Scene, holds: Holds, pipeline: str) -> str:
    execution = await _held(scene, holds, pipeline, Point.AFTER_COMMIT)
    worker = executing(scene.workers)
    async with _locked(scene, _ATTEMPT, ExecutionId.of(execution)):
        holds.release(Point.AFTER_COMMIT)

        async def stage_is_over() -> bool | None:
            return True if executing(scene.workers) is None else None

        await until(stage_is_over, what="load to end")
        if worker is not None:
            kill(worker)
    return execution


async def _held(scene: Scene, holds: Holds, pipeline: str, point: Point) -> str:
    """A run whose stage stands at `point`."""
    holds.arm(point)
    execution = await run(scene.cast.omar, pipeline)

    async def reached() -> bool | None:
        return holds.is_reached(point) or None

    await until(reached, what=f"the stage to come to {point}")
    return execution


async def _kill(scene: Scene) -> None:
    async def found() -> int | None:
        return executing(scene.workers)

    kill(await until(found, what="the executing worker"))


async def _judge(scene: Scene, where: str, execution: str) -> None:
    done = await ended(scene.cast.omar, execution)
    attempts = (await scene.cast.omar.get(f"/executions/{execution}"))["attempts"]
    key = next(each["step_key"] for each in attempts if each["stage"] == "load")
    times = (await scene.target.effects()).get(key, 0)
    scene.say(f"  killed {where}: run {done['status']}, the target shows {times} effect for its step key")
    scene.expect(done["status"] == "succeeded", f"killed {where}, the run is {done['status']}")
    scene.expect(times == 1, f"killed {where}, the target shows {times} effects")


@asynccontextmanager
async def _locked(scene: Scene, statement: str, key: OrgId | ExecutionId) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """Hold the row that `statement` locks for as long as the block lasts."""
    server = scene.server
    database = await asyncpg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=server.database, timeout=10
    )
    try:
        async with database.transaction():
            await database.fetch(statement, key)
            yield database
    finally:
        await database.close()
