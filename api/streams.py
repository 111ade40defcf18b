"""Server-sent events: what happened, in order, resumable, with a bound on how long and how many."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from fastapi.responses import StreamingResponse

from api.errors import BusyError
from domain.base import Value
from domain.errors import HealError

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Event(Value):
    """`id` is what a client sends back as Last-Event-ID to go on after this one."""

    id: int
    kind: str
    data: str

    @property
    def text(self) -> str:
        return f"id: {self.id}\nevent: {self.kind}\ndata: {self.data}\n\n"


Follow = Callable[[int], Awaitable[Sequence[Event]]]
"""The next events after an id, oldest first; raises when the caller may not read on."""


class Streams:
    """At most `most` at once in this process; each ends after `lasts`, and the client comes back."""

    def __init__(
        self,
        *,
        most: int = 100,
        every: timedelta = timedelta(seconds=1),
        alive: timedelta = timedelta(seconds=15),
        lasts: timedelta = timedelta(minutes=10),
    ) -> None:
        self._most = most
        self._every = every.total_seconds()
        self._alive = alive.total_seconds()
        self._lasts = lasts.total_seconds()
        self._open = 0

    def serve(self, follow: Follow, first: Sequence[Event], after: int) -> StreamingResponse:
        """Stream `first` and what follows it.

        Raises:
            BusyError: too many streams are open.
        """
        if self._open >= self._most:
            raise BusyError("too many event streams are open")
        return StreamingResponse(self._events(follow, first, after), media_type="text/event-stream", headers=_HEADERS)

    async def _events(self, follow: Follow, events: Sequence[Event], after: int) -> AsyncIterator[str]:
        self._open += 1
        try:
            with suppress(HealError):
                async for text in self._texts(follow, events, after):
                    yield text
        finally:
            self._open -= 1

    async def _texts(self, follow: Follow, events: Sequence[Event], after: int) -> AsyncIterator[str]:
        until = time.monotonic() + self._lasts
        spoken = time.monotonic()
        yield "retry: 2000\n\n"
        while time.monotonic() < until:
            for event in events:
                yield event.text
                after = event.id
            if events:
                spoken = time.monotonic()
            elif time.monotonic() - spoken >= self._alive:
                yield ": still here\n\n"
                spoken = time.monotonic()
            if not events:
                await asyncio.sleep(self._every)
            events = await follow(after)
