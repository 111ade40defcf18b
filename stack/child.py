"""One supervised process: start it, wait until it is well, start it again when it dies, end its whole group."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from pydantic import Field

from domain.base import Name, Value
from domain.errors import UnavailableError
from stack.logs import BoundedLog
from stack.probe import is_well
from stack.watchdog import Watchdog

Report = Callable[[str], None]
Probe = Callable[[], Awaitable[bool]]

_TICK_S = 0.03
_QUIT_S = 2.0


class Restart(Value):
    """How often a dead child is started again: pauses double from `first` to `most`.

    A child that lived for `forgive` starts over with the first pause. `attempts` in a row without that end it.
    """

    first: timedelta = timedelta(milliseconds=100)
    most: timedelta = timedelta(seconds=5)
    forgive: timedelta = timedelta(seconds=10)
    attempts: int | None = None

    def pause(self, failures: int) -> timedelta:
        """The pause after the given number of deaths in a row, counted from 1."""
        return min(self.first * (1 << min(failures - 1, 16)), self.most)

    def is_over(self, failures: int) -> bool:
        return self.attempts is not None and failures > self.attempts


class ChildSpec(Value):
    """A process to run; `env` is the whole environment, None inherits ours; without `restart` its death is final.

    `niceness`: the more, the less it gets of a processor that others want too.
    """

    name: Name
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    uid: int | None = None
    niceness: int = Field(default=0, ge=0, le=19)
    stop: signal.Signals = signal.SIGTERM
    grace: timedelta = timedelta(seconds=10)
    health_url: str | None = None
    ready_within: timedelta = timedelta(seconds=30)
    restart: Restart | None = Restart()


class Child:
    """A running `ChildSpec`; `ended` resolves to a sentence once it is dead for good without having been stopped."""

    def __init__(self, spec: ChildSpec, log: BoundedLog, watchdog: Watchdog, report: Report, ready: Probe | None) -> None:
        self.spec = spec
        self.log = log
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._watchdog = watchdog
        self._report = report
        self._ready = ready or _by_url(spec.health_url)
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Returns once the child is well.

        Raises:
            UnavailableError: it died or was not well in time; its last words are in the message.
        """
        await self._spawn()
        try:
            await self._until_well()
        except UnavailableError:
            await self.stop()
            raise
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ask, wait for the grace, then kill the whole group."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._process is None:
            return
        for number, patience in ((self.spec.stop, self.spec.grace.total_seconds()), (signal.SIGQUIT, _QUIT_S)):
            if await self._ends_after(number, patience):
                break
        await self._bury(self._process)

    async def _spawn(self) -> None:
        spec, output = self.spec, self.log.open()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._watchdog.leash(spec.argv, stop=spec.stop, uid=spec.uid, niceness=spec.niceness),
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                env=spec.env,
                cwd=spec.cwd,
                pass_fds=self._watchdog.descriptors,
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._watchdog.know(self._process.pid, stop=spec.stop)

    async def _until_well(self) -> None:
        limit = self.spec.ready_within.total_seconds()
        try:
            async with asyncio.timeout(limit):
                while not await self._ready():
                    if self.pid is None:
                        raise UnavailableError(self._last_words("ended before it was well"))
                    await asyncio.sleep(_TICK_S)
        except TimeoutError as error:
            raise UnavailableError(self._last_words(f"was not well within {limit:.0f} s")) from error

    async def _keep(self) -> None:
        failures, clock = 0, asyncio.get_running_loop().time
        while self._process is not None:
            began = clock()
            code = await self._process.wait()
            await self._bury(self._process)
            restart = self.spec.restart
            if restart is None:
                return self._end(f"ended with {code}")
            failures = 1 if clock() - began >= restart.forgive.total_seconds() else failures + 1
            if restart.is_over(failures):
                return self._end(f"ended with {code}, {failures} times in a row")
            self._report(f"{self.spec.name} ended with {code}; starting it again")
            await asyncio.sleep(restart.pause(failures).total_seconds())
            try:
                await self._spawn()
            except OSError as error:
                return self._end(f"could not be started again: {error}")
        return None

    def _end(self, how: str) -> None:
        if not self.ended.done():
            self.ended.set_result(self._last_words(how))

    def _last_words(self, how: str) -> str:
        return f"{self.spec.name} {how}; see {self.log.path}; it said: {self.log.tail()[-800:] or 'nothing'}"

    async def _ends_after(self, number: signal.Signals, patience: float) -> bool:
        if self._process is None or self._process.returncode is not None:
            return True
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            await asyncio.wait_for(self._process.wait(), patience)
        except TimeoutError:
            return False
        return True

    async def _bury(self, process: Process) -> None:
        """Kill what is left of the group. Only then may the guard forget it."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        self._watchdog.forget(process.pid)


def _by_url(url: str | None) -> Probe:
    async def probe() -> bool:
        return url is None or await is_well(url)

    return probe
