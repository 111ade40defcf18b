"""Follow somebody's database for as long as one worker may; what is lost is taken up again where the records say."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from domain.feed import Fed
from domain.refs import FeedRef

if TYPE_CHECKING:
    from services.feeding import Feeding as Follower

TURN = timedelta(hours=1)
"""How long one connection lasts at most, so that workers share what there is to follow."""


class Feeding:
    queue = "io"

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    @activity.defn
    async def follow(self, ref: FeedRef) -> Fed:
        """Until the connector is paused or gone, this is cancelled, or the worker ends."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TURN.total_seconds()

        def goes_on() -> bool:
            activity.heartbeat()
            return loop.time() < until and not activity.is_worker_shutdown()

        return await self._follower.follow(ref, goes_on=goes_on)
