"""Watch what arrives of a service, for minutes at a time: an activity for each look would be dearer than the look."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from domain.refs import MonitorRef
from domain.watch import Watched

if TYPE_CHECKING:
    from services.monitors import Monitors


TURN = timedelta(minutes=1)
_SHORTEST, _LONGEST = 0.25, 2.0  # seconds between looks
_LOOKS = 40
"""A second, at all services together: each is a transaction, whether much has come or little."""
_AT_ONCE = 3
"""Others wait their turn: more would wait for a connection, which is given up soon, and for the processor."""


class Monitoring:
    queue = "inference"

    def __init__(self, monitors: Monitors, *, quiet: timedelta) -> None:
        """A watch is over when nothing has come for `quiet`; at the latest after `TURN`, so that others have theirs."""
        self._monitors = monitors
        self._quiet = quiet
        self._watched = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @activity.defn
    async def watch(self, ref: MonitorRef) -> Watched:
        """Look again and again, the more often the more comes and the fewer services are watched at once.

        Where a verdict is near, the next look is soon: somebody waits for it.
        """
        loop = asyncio.get_running_loop()
        began = heard = loop.time()
        pause = _SHORTEST
        self._watched += 1
        try:
            while loop.time() - began < TURN.total_seconds() and not activity.is_worker_shutdown():
                activity.heartbeat()
                async with self._turns:
                    look = await self._monitors.look(ref)
                if look.is_ripe:
                    return Watched(is_ripe=True)
                if look.signals:
                    heard, pause = loop.time(), _SHORTEST
                elif loop.time() - heard >= self._quiet.total_seconds():
                    return Watched(is_quiet=True)
                else:
                    pause = min(1.5 * pause, _LONGEST)
                if not look.is_behind:
                    share = min(self._watched / _LOOKS, _LONGEST)
                    await asyncio.sleep(_SHORTEST if look.is_ripening else max(pause, share))
            return Watched()
        finally:
            self._watched -= 1
            await self._monitors.keep(ref)

    @activity.defn
    async def due(self, ref: MonitorRef) -> timedelta | None:
        """How long until something of the service will be missing; None when nothing is waited for."""
        return await self._monitors.due(ref)

    @activity.defn
    async def rest(self, ref: MonitorRef) -> bool:
        return await self._monitors.rest(ref)
