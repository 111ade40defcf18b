"""Open one engine worker per task queue and run until told to stop."""

import asyncio
import compileall
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

import bootstrap
import settings
from workflows import registry

_DRAIN = timedelta(seconds=5)  # what it takes to hand back comes on top
_SLOTS = 50

log = logging.getLogger("suture.worker")


def open_worker(client: Client, queue: str, activities: Sequence[object], chosen: settings.Settings) -> Worker:
    """One pool: the workflows and activities of `queue`, bounded in slots, drained before it ends."""
    workflows = registry.WORKFLOWS.get(queue, ())
    if workflows:
        _compile_workflows()
    methods = [method for each in activities for method in _methods(each)]
    limits: dict[str, Any] = {"max_cached_workflows": chosen.workflow_cache} if workflows else {}
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=methods,
        max_concurrent_activities=_SLOTS if methods else None,
        graceful_shutdown_timeout=_DRAIN,
        max_heartbeat_throttle_interval=chosen.lease / 4,
        default_heartbeat_throttle_interval=chosen.lease / 4,
        **limits,
    )


async def run(chosen: settings.Settings) -> None:
    """Serve the queues of the settings until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(bootstrap.worker_parts(chosen))
        for queue in chosen.queues:
            await stack.enter_async_context(open_worker(parts.client, queue, parts.activities_of(queue), chosen))
        bootstrap.settled()
        beside = {asyncio.create_task(each()) for each in parts.beside}
        if chosen.ready_file is not None:
            chosen.ready_file.write_text("ready\n")
        log.info("serving", extra={"queues": list(chosen.queues)})
        await _until(stop, beside)


async def _until(stop: asyncio.Event, beside: set[asyncio.Task[None]]) -> None:
    """Wait for the word to stop; whatever else of the process dies ends it, so that its supervisor sees it."""
    told = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[Any]] = {told} | beside
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {told}:
            task.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _compile_workflows() -> None:
    """Their modules are loaded anew for every story, in half the time where their bytecode could be kept."""
    compileall.compile_dir(Path(registry.__file__).parent, quiet=2)


def _methods(activities: object) -> list[Any]:
    found = (getattr(activities, name) for name in dir(activities) if not name.startswith("_"))
    return [each for each in found if hasattr(each, "__temporal_activity_definition")]


if __name__ == "__main__":
    sys.exit(bootstrap.run_process(run))
