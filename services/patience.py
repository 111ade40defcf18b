"""Tell the database what is known, again and again while it is away, with signs of life meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from domain.errors import UnavailableError

_FIRST_PAUSE = timedelta(milliseconds=100)
_LONGEST_PAUSE = timedelta(seconds=5)


async def insist(tell: Callable[[], Awaitable[None]], *, beat: Callable[[], None], every: timedelta, within: timedelta) -> None:
    """Repeat `tell` until the database takes it, and call `beat` so often.

    Raises:
        UnavailableError: it did not `within` that time.
    """
    try:
        async with _beating(beat, every=every), asyncio.timeout(within.total_seconds()):
            await _until_taken(tell)
    except TimeoutError as late:
        raise UnavailableError(f"the database was away for {within}") from late


async def _until_taken(tell: Callable[[], Awaitable[None]]) -> None:
    pause = _FIRST_PAUSE
    while True:
        try:
            return await tell()
        except UnavailableError:
            await asyncio.sleep(pause.total_seconds() * random.uniform(0.5, 1))  # noqa: S311
        pause = min(2 * pause, _LONGEST_PAUSE)


@asynccontextmanager
async def _beating(beat: Callable[[], None], *, every: timedelta) -> AsyncIterator[None]:
    async def beats() -> None:
        while True:
            beat()
            await asyncio.sleep(every.total_seconds())

    task = asyncio.create_task(beats())
    try:
        yield
    finally:
        task.cancel()
