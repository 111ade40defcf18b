"""How many batches may be in work at once: one more for each that was quick, far fewer after one that was slow (AIMD)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

from domain.errors import HealError, OverloadedError, UnavailableError

STORMY = timedelta(milliseconds=500)
"""A batch that takes so long, redaction, waiting and the database together, is of a storm."""
SLOW = timedelta(seconds=2)
CALM = timedelta(seconds=5)
"""How long a storm lasts after the last such batch."""
PATIENCE = timedelta(seconds=1.5)
"""How long a batch waits for its turn; as long as anybody waits for a connection."""
_LEAST, _MOST = 2, 64
_AT_ONCE = 4
"""Fewer than a process has connections, so that a burst leaves some to whoever asks for little."""
_LESS = 0.7
_LESS_AFTER = 1.0  # seconds: what was begun before the limit fell says nothing of the new one


class Admission:
    """Of one process. In a storm log lines that are alike are counted and not stored, which is less work; what is too much even
    so is refused, at once or after a moment, so that senders wait and not we.

    The limit follows the time that a batch takes, as TCP's window follows loss (Chiu and Jain 1989).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limit = float(_MOST)
        self._in_work = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._stormy_until = self._lowered_at = self._ended_at = -1e9

    @contextmanager
    def place(self) -> Iterator[None]:
        """For the time that a batch is in work.

        Raises:
            OverloadedError: there is no place; nothing was done.
        """
        if self._in_work >= int(self._limit):
            self._storm()
            raise OverloadedError("too many batches are in work: try again in a second")
        began = self._clock()
        self._in_work += 1
        try:
            yield
        except HealError as error:
            if error.status < 500:  # what is out of reach says nothing of how much there is
                self._learn(self._clock() - began)
            raise
        else:
            self._learn(self._clock() - began)
        finally:
            self._in_work -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For the time that a batch holds a connection; they take turns in the order they came.

        Raises:
            OverloadedError: it did not come for `PATIENCE`.
            UnavailableError: and no other's has ended meanwhile, so it is the database that stands still.
        """
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await self._turns.acquire()
        except TimeoutError:
            if self._clock() - self._ended_at >= PATIENCE.total_seconds():
                raise UnavailableError("no batch has been stored for a while; try again") from None
            raise OverloadedError("too many batches wait to be stored: try again in a second") from None
        try:
            yield
        finally:
            self._ended_at = self._clock()
            self._turns.release()

    @property
    def is_stormy(self) -> bool:
        return self._clock() < self._stormy_until

    def _learn(self, took: float) -> None:
        if took >= STORMY.total_seconds():
            self._storm()
        if took < SLOW.total_seconds():
            self._limit = min(_MOST, self._limit + 1 / self._limit)
        elif self._clock() - self._lowered_at >= _LESS_AFTER:
            self._limit = max(_LEAST, self._limit * _LESS)
            self._lowered_at = self._clock()

    def _storm(self) -> None:
        self._stormy_until = self._clock() + CALM.total_seconds()
