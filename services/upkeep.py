"""Every hour sign the ledgers that have grown, remove what has served or is old, prepare the months to come, by one leader."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import HealError, InvalidError
from services.checkpoints import Checkpoints
from storage.upkeep import Removals

_EVERY = timedelta(hours=1)
_AGAIN = timedelta(minutes=1)
_LAST_WITHIN = timedelta(seconds=5)
_KEPT = timedelta(hours=24)
_BATCH = 1_000
_BATCHES = 1_000
_KEYS = 20_000
"""A batch of what may come by the hundred thousand in a minute."""

log = logging.getLogger("suture.upkeep")


@dataclass(frozen=True)
class Retention:
    """How long signals are kept, and what they were added up to: the coarser, the longer.

    Raises:
        InvalidError: they are not, or signals are kept for less than a day.
    """

    signals: timedelta = timedelta(days=30)
    minutes: timedelta = timedelta(days=90)
    five_minutes: timedelta = timedelta(days=400)

    def __post_init__(self) -> None:
        if not timedelta(days=1) <= self.signals <= self.minutes <= self.five_minutes:
            raise InvalidError(
                "expected signals kept for a day at least, minutes as long as they, five minutes as long as those"
            )


class Upkeep:
    def __init__(self, removals: Removals, checkpoints: Checkpoints, retention: Retention | None = None) -> None:
        self._removals = removals
        self._checkpoints = checkpoints
        self._retention = retention or Retention()

    async def run(self) -> None:
        """Until cancelled; a process that does not lead looks again later, and a lost database ends nothing."""
        while True:
            pause = _EVERY
            try:
                async with self._removals.lead() as lead:
                    if lead is not None:
                        await self.keep_months()
                        await self.remove_served()
                        await self.remove_old()
                        await self.sign_grown()
            except HealError as error:
                log.warning("upkeep interrupted", extra={"code": error.code})
                pause = _AGAIN
            await asyncio.sleep(pause.total_seconds())

    async def finish(self) -> None:
        """Sign what has grown since the last hour, as the last thing this process does; a few seconds are all it takes."""
        try:
            async with asyncio.timeout(_LAST_WITHIN.total_seconds()), self._removals.lead() as lead:
                if lead is not None:
                    await self.sign_grown()
        except (HealError, TimeoutError) as error:
            log.warning("ended without last checkpoints", extra={"error": type(error).__name__})

    async def sign_grown(self) -> None:
        if signed := await self._checkpoints.sign_grown():
            log.info("signed the ledgers that have grown", extra={"ledgers": signed})

    async def keep_months(self) -> None:
        """Signals of a month that has no partition are kept all the same, in the default one: whoever runs this is told."""
        if missing := await self._removals.keep_months():
            log.warning("signals have no partition of their own", extra={"partitions": missing})

    async def remove_served(self) -> int:
        """Delivered letters and idempotency keys older than a day; how many rows they were."""
        letters = await _in_batches(lambda: self._removals.letters(delivered_for=_KEPT, limit=_BATCH))
        keys = await _in_batches(lambda: self._removals.idempotency_keys(kept_for=_KEPT, limit=_BATCH))
        log.info("removed what has served", extra={"letters": letters, "idempotency": keys})
        return letters + keys

    async def remove_old(self) -> None:
        """Months of signals as a whole, so that one is kept for up to a month more; keys and sums one by one."""
        dropped, busy = await self._removals.old_signals(kept_for=self._retention.signals)
        keys = await _in_batches(lambda: self._removals.old_signal_keys(kept_for=self._retention.signals, limit=_KEYS), _KEYS)
        ones = await _in_batches(lambda: self._removals.old_rollups(1, kept_for=self._retention.minutes, limit=_BATCH))
        fives = await _in_batches(lambda: self._removals.old_rollups(5, kept_for=self._retention.five_minutes, limit=_BATCH))
        log.info("removed what is old", extra={"months": dropped, "keys": keys, "minutes": ones, "five_minutes": fives})
        if busy:
            log.warning("signals that are old were in use, and go the next time", extra={"partitions": busy})


async def _in_batches(remove: Callable[[], Awaitable[int]], size: int = _BATCH) -> int:
    """What is left after so many batches goes next time."""
    removed = 0
    for _ in range(_BATCHES):
        count = await remove()
        removed += count
        if count < size:
            break
    return removed
