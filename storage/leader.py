"""One process at a time does what only one should: whoever holds the lock's connection, and no longer than it lives."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import select

from domain.errors import UnavailableError
from storage.engine import translated


class Lead:
    """The one connection that holds the lock; it hears what is notified, too."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def check(self) -> None:
        """Raises UnavailableError: the connection is gone, and the lead with it."""
        if self._driver.is_closed():
            raise UnavailableError("the connection that leads is gone; somebody else may lead now")

    async def hear(self, channel: str, wake: Callable[[], None]) -> None:
        """Call `wake` at every notification, for as long as this leads."""

        def heard(*_: object) -> None:
            wake()

        with translated():
            await self._driver.add_listener(channel, heard)


@asynccontextmanager
async def lead(engine: AsyncEngine, lock: int) -> AsyncIterator[Lead | None]:
    """A `Lead` if nobody else has this lock, as long as the block lasts.

    Raises:
        UnavailableError: the database cannot be reached or has no room.
    """
    with translated():
        async with engine.connect() as connection:
            held = bool(await connection.scalar(select(func.pg_try_advisory_lock(lock))))
            await connection.commit()
            try:
                yield Lead(await _driver(connection)) if held else None
            finally:
                if held:
                    await connection.invalidate()  # closing it gives back the lock, however this ends


async def _driver(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection
