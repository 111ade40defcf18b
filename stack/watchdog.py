"""The parent's side of the guard: start it, keep it alive, tell it which process groups exist."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from pathlib import Path

_HERE = Path(__file__).parent
_PYTHON = (sys.executable, "-I", "-S")


class Watchdog:
    """Ends every leashed process when this one dies, however it dies.

    `kept_open` are descriptors the guard holds until it has finished, such as the lock of the data directory.
    """

    def __init__(self, kept_open: tuple[int, ...] = ()) -> None:
        self._kept_open = kept_open
        self._alive: dict[int, int] = {}
        self._pipe = -1
        self._guard: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._start()
        self._keeper = asyncio.create_task(self._keep())

    def leash(self, argv: tuple[str, ...], *, stop: int, uid: int | None, niceness: int) -> tuple[str, ...]:
        """The command that becomes `argv` on a leash; start it with `descriptors` inherited."""
        told = (self._pipe, os.getpid(), stop, -1 if uid is None else uid, niceness)
        return (*_PYTHON, str(_HERE / "leash.py"), *map(str, told), "--", *argv)

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (self._pipe,)

    def know(self, pid: int, *, stop: int) -> None:
        """Remember a child, for the day the guard itself must be replaced."""
        self._alive[pid] = stop

    def forget(self, pid: int) -> None:
        self._alive.pop(pid, None)
        self._tell(f"-{pid}\n")

    async def close(self) -> None:
        """Let the guard go, after it has ended whatever is still alive."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        if self._guard is not None:
            await self._guard.wait()

    async def _start(self) -> None:
        reading, self._pipe = os.pipe()
        argv = (*_PYTHON, str(_HERE / "guard.py"), str(reading))
        try:
            self._guard = await asyncio.create_subprocess_exec(
                *argv,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                pass_fds=(reading, *self._kept_open),
                start_new_session=True,
            )
        finally:
            os.close(reading)
        for pid, stop in self._alive.items():
            self._tell(f"+{pid} {stop}\n")

    async def _keep(self) -> None:
        while self._guard is not None:
            await self._guard.wait()
            os.close(self._pipe)
            await self._start()

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())
