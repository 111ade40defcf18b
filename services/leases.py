"""Keep one worker's right to an attempt in the database while its stage runs, and know when it is lost."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from domain.errors import LeaseLostError, UnavailableError

_RENEWALS = 3  # in one lease
_TRIES = 12  # in one lease, where the database is away


@asynccontextmanager
async def kept(renew: Callable[[], Awaitable[None]], *, length: timedelta) -> AsyncIterator[Callable[[], bool]]:
    """Renew a lease that has just been taken, and tell whether it is held: a stage whose lease is not must die.

    It is held until one whole lease has passed without a renewal, as others count it, or somebody else has taken over.
    """
    lease = _Lease(renew, length)
    task = asyncio.create_task(lease.keep())
    try:
        yield lease.is_held
    finally:
        task.cancel()
        await asyncio.wait({task})


class _Lease:
    def __init__(self, renew: Callable[[], Awaitable[None]], length: timedelta) -> None:
        self._renew = renew
        self._length = length.total_seconds()
        self._kept_at = _now()

    def is_held(self) -> bool:
        return _now() < self._kept_at + self._length

    async def keep(self) -> None:
        """Until cancelled or lost; whoever needs an answer at once asks `is_held`, which waits for nothing."""
        pause = self._length / _RENEWALS
        while True:
            await asyncio.sleep(pause)
            asked_at = _now()
            try:
                async with asyncio.timeout(self._length / _RENEWALS):
                    await self._renew()
            except (UnavailableError, TimeoutError):
                pause = self._length / _TRIES
            except LeaseLostError:
                self._kept_at = -math.inf
                return
            else:
                self._kept_at, pause = asked_at, self._length / _RENEWALS


def _now() -> float:
    """Seconds that go on while the host sleeps: other hosts count the lease on meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
