"""The records of a run: begin, fail, finish, and whether it may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from domain.execution import Failure, Healing, RunTask
from domain.refs import RunRef

if TYPE_CHECKING:
    from services.runs import Runs


class Running:
    queue = "io"

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    @activity.defn
    async def begin_run(self, ref: RunRef) -> RunTask:
        return await self._runs.begin(ref)

    @activity.defn
    async def fail_run(self, failure: Failure) -> None:
        await self._runs.fail(failure)

    @activity.defn
    async def finish_run(self, ref: RunRef) -> None:
        await self._runs.finish(ref)

    @activity.defn
    async def abandon_run(self, ref: RunRef) -> None:
        await self._runs.abandon(ref)

    @activity.defn
    async def cancel_run(self, ref: RunRef) -> None:
        await self._runs.cancel(ref)

    @activity.defn
    async def look_for_healing(self, ref: RunRef) -> Healing:
        return await self._runs.healing(ref)
