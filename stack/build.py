"""Compile a tool from its pinned Go module: one builder at a time, and the program appears whole or not at all."""

import asyncio
import fcntl
import os
import shlex
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from domain.errors import UnavailableError

Report = Callable[[str], None]

_BUILD_WITHIN = timedelta(minutes=30)
_LOCK_WITHIN = timedelta(minutes=45)
_HEARTBEAT = timedelta(seconds=10)
_TICK_S = 0.2


@asynccontextmanager
async def alone(target: Path, report: Report) -> AsyncIterator[None]:
    """Hold the lock beside `target`; a second process waits until the first has finished.

    Raises:
        UnavailableError: somebody else held the lock for 45 minutes.
    """
    descriptor = os.open(target.with_name(f"{target.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        await _take(descriptor, target, report)
        yield
    finally:
        os.close(descriptor)


async def compile_program(command: tuple[str, ...], *, module: Path, target: Path, report: Report) -> None:
    """Run the `go build` whose output is `target`, saying every few seconds that it goes on.

    Raises:
        UnavailableError: there is no Go, no module, or the build failed; the message names the command that helps.
    """
    if not (module / "go.mod").exists() or shutil.which(command[0]) is None:
        raise UnavailableError(f"{target.name} is not here and {_missing(module)}; then run: {by_hand(command, module)}")
    temporary = target.with_name(f"{target.name}.{os.getpid()}.building")
    words = tuple(str(temporary) if word == str(target) else word for word in command)
    report(f"{target.name}: building it from {module.name}/go.mod, once; this takes minutes")
    try:
        await _run(words, command, module, report)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def shown(command: tuple[str, ...]) -> str:
    return shlex.join(command)


async def _run(words: tuple[str, ...], command: tuple[str, ...], module: Path, report: Report) -> None:
    environment = os.environ | {"GOTOOLCHAIN": os.environ.get("GOTOOLCHAIN", "auto"), "GOFLAGS": "-mod=readonly"}
    process = await asyncio.create_subprocess_exec(
        *words, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, cwd=module, env=environment, start_new_session=True
    )
    try:
        said = await _watch(process, Path(module).name, report)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()
    if process.returncode:
        raise UnavailableError(f"the build failed; run: {by_hand(command, module)}; it said: {said[-800:]}")


async def _watch(process: Process, name: str, report: Report) -> str:
    talk = asyncio.ensure_future(process.communicate())
    began = time.monotonic()
    while not talk.done():
        await asyncio.wait({talk}, timeout=_HEARTBEAT.total_seconds())
        passed = time.monotonic() - began
        if passed > _BUILD_WITHIN.total_seconds():
            talk.cancel()
            raise UnavailableError(f"building {name} took longer than {_BUILD_WITHIN}")
        if not talk.done():
            report(f"{name}: still building, {passed:.0f} s")
    said, _ = await talk
    return said.decode(errors="replace").strip()


async def _take(descriptor: int, target: Path, report: Report) -> None:
    deadline = time.monotonic() + _LOCK_WITHIN.total_seconds()
    told = False
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(f"another process has been making {target} for {_LOCK_WITHIN}") from error
        if not told:
            report(f"{target.name}: another process is making it; waiting")
            told = True
        await asyncio.sleep(_TICK_S)


def _missing(module: Path) -> str:
    return "Go is not installed: install Go 1.21 or newer" if (module / "go.mod").exists() else f"{module}/go.mod is missing"


def by_hand(command: tuple[str, ...], module: Path) -> str:
    return f"cd {shlex.quote(str(module.absolute()))} && {shown(command)}"
