"""What people have to hear of although nothing has failed yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from domain.execution import Unserved

if TYPE_CHECKING:
    from services.pools import Pools
    from services.ports import Metrics


class Watching:
    queue = "io"

    def __init__(self, pools: Pools, metrics: Metrics) -> None:
        self._pools = pools
        self._metrics = metrics

    @activity.defn
    async def note_unserved(self, work: Unserved) -> None:
        await self._pools.note_unserved(work)
        self._metrics.unserved(work.environment)
