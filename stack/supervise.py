"""One process tree: children start on a leash, are kept alive, and stop in reverse order."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from domain.errors import ConflictError, NotFoundError, UnavailableError
from stack.child import Child, ChildSpec, Probe, Report
from stack.logs import LIMIT, BoundedLog
from stack.watchdog import Watchdog

_TRIM_EVERY = timedelta(seconds=1)


class Supervisor:
    """Every child dies with this process. `kept_open` stay open until the last of them is gone."""

    def __init__(self, logs: Path, *, report: Report, kept_open: tuple[int, ...] = (), log_limit: int = LIMIT) -> None:
        self._logs = logs
        self._report = report
        self._log_limit = log_limit
        self._watchdog = Watchdog(kept_open)
        self._children: dict[str, Child] = {}
        self._trimmer: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def open(self) -> None:
        await self._watchdog.open()
        self._trimmer = asyncio.create_task(self._trim())

    async def run(self, spec: ChildSpec, ready: Probe | None = None) -> None:
        """Start a child and return once `ready`, or else its health address, says that it is well.

        Raises:
            UnavailableError: it died or was not well in time.
            ConflictError: the name is taken.
        """
        if spec.name in self._children:
            raise ConflictError(f"a child named {spec.name} runs already")
        log = BoundedLog(self._logs / f"{spec.name}.log", limit=self._log_limit)
        child = self._children[spec.name] = Child(spec, log, self._watchdog, self._report, ready)
        self._changed.set()
        try:
            await child.start()
        except UnavailableError:
            self._children.pop(spec.name, None)
            raise

    async def restart(self, name: str) -> None:
        """Stop a child and start it again, health-gated like the first time."""
        await self._child(name).stop()
        await self._child(name).start()

    async def end(self, name: str) -> None:
        """Stop one child and forget it."""
        await self._child(name).stop()
        del self._children[name]

    def pid(self, name: str) -> int | None:
        """The process id of a child; None while it is dead."""
        return self._child(name).pid

    def names(self) -> tuple[str, ...]:
        return tuple(self._children)

    async def wait(self) -> None:
        """Return never, unless a child is dead for good.

        Raises:
            UnavailableError: which child, and its last words.
        """
        while True:
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                everything: set[asyncio.Future[Any]] = {changed, *(child.ended for child in self._children.values())}
                await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            for child in self._children.values():
                if child.ended.done():
                    raise UnavailableError(child.ended.result())

    async def close(self) -> None:
        """Stop every child, the youngest first, then the guard."""
        if self._trimmer is not None:
            self._trimmer.cancel()
            with suppress(asyncio.CancelledError):
                await self._trimmer
        while self._children:
            _, child = self._children.popitem()
            await child.stop()
        await self._watchdog.close()

    def _child(self, name: str) -> Child:
        if name not in self._children:
            raise NotFoundError(f"no child named {name}; there are {', '.join(self._children) or 'none'}")
        return self._children[name]

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_EVERY.total_seconds())
            for child in self._children.values():
                child.log.trim()
