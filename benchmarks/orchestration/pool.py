"""A worker process of the benchmark: the product's pool on the real services, whose stages take no time, and the bare workflow.

Run by `Pools` as `python -m benchmarks.orchestration.pool ANSWER CALM`: how long a bare answer is, and the file that, while
it is there, lets every stage pass. The settings come from the environment, as for any worker.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from temporalio.worker import Worker

import bootstrap
import settings
from benchmarks.orchestration.bare import ALONE, BareWorkflow, Noop
from benchmarks.orchestration.story import Stages
from tests.engine import ENVIRONMENTS, ROOT, until
from worker import open_worker

LAYOUT: Mapping[str, tuple[str, ...]] = {
    "control": ("scheduler", "orchestrator", "inference", "replay"),
    "records": ("io",),
    "execute": tuple(f"execute-{each}" for each in ENVIRONMENTS),
}
"""The processes of `suture up`; one executes, since it remembers which stages have failed once."""


class Pools:
    """The processes of `LAYOUT`, serving from the beginning to the end of the block."""

    def __init__(self, environment: Mapping[str, str], folder: Path, *, answer: int) -> None:
        self._environment = environment
        self._folder = folder
        self._answer = answer
        self._running: list[Process] = []
        self.calm = folder / "calm"

    async def __aenter__(self) -> Self:
        self.calm.touch()
        for name, queues in LAYOUT.items():
            self._running.append(await self._start(name, queues))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            process.terminate()
        await asyncio.gather(*(process.wait() for process in self._running))

    def cpu(self) -> float:
        """Seconds that they have computed so far."""
        times = [psutil.Process(each.pid).cpu_times() for each in self._running]
        return sum(each.user + each.system for each in times)

    async def _start(self, name: str, queues: tuple[str, ...]) -> Process:
        ready = self._folder / f"{name}.ready"
        own = {"SUTURE_QUEUES": ",".join(queues), "SUTURE_READY_FILE": str(ready)}
        argv = [sys.executable, "-m", "benchmarks.orchestration.pool", str(self._answer), str(self.calm)]
        with (self._folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *argv, cwd=ROOT, env={**os.environ, **self._environment, **own}, stdin=DEVNULL, stdout=log, stderr=log
            )

        async def serves() -> bool:
            assert process.returncode is None, (self._folder / f"{name}.log").read_text()[-2_000:]
            return ready.exists()

        await until(serves, within=60, why=f"the pool {name} serves")
        return process


async def serve(chosen: settings.Settings, *, answer: int, calm: Path) -> None:
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(bootstrap.worker_parts(chosen, process=Stages(calm)))
        for queue in chosen.queues:
            served = (*parts.activities_of(queue), *((Noop(answer),) if queue == "io" else ()))
            await stack.enter_async_context(open_worker(parts.client, queue, served, chosen))
        if "orchestrator" in chosen.queues:
            alone = Worker(parts.client, task_queue=ALONE, workflows=[BareWorkflow], max_cached_workflows=chosen.workflow_cache)
            await stack.enter_async_context(alone)
        assert chosen.ready_file is not None
        chosen.ready_file.touch()
        async with asyncio.TaskGroup() as group:
            for each in parts.beside:
                group.create_task(each())
            group.create_task(asyncio.Event().wait())


if __name__ == "__main__":
    sys.exit(bootstrap.run_process(partial(serve, answer=int(sys.argv[1]), calm=Path(sys.argv[2]))))
