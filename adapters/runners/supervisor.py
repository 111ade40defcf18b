"""The worker's side of a supervisor: start it, keep its lease, let go of it, and know when it is dead."""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from adapters.runners.patience import uninterrupted
from adapters.runners.processes import lives
from domain.base import Value
from domain.errors import UnavailableError
from domain.stage import SupervisorHandle

_START_WITHIN = timedelta(seconds=10)
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from adapters.runners.supervise import main; main()"
_CHUNK = 64 * 1024
_LATE_OUTPUT = timedelta(seconds=1)


class Job(Value):
    """What the supervisor program reads; seconds, because it knows no other word for time."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    uid: int | None
    timeout: float
    grace: float
    lease: float
    limits: dict[str, int]


class Ending(Value):
    """How the supervised stage ended: `why` is exited, timeout, lease or worker."""

    why: str
    status: int | None = None
    started_at: float = 0
    wall: float = 0
    cpu: float = 0
    peak_memory: int = 0


class Supervisor:
    def __init__(self, process: Process, output: asyncio.StreamReader) -> None:
        self._process, self._output = process, output

    async def introduce(self, job: Job) -> SupervisorHandle:
        """Hand over the job; the stage itself waits for `go`."""
        self._say(job.model_dump_json().encode() + b"\n")
        async with asyncio.timeout(_START_WITHIN.total_seconds()):
            said = await self._hear()
        return SupervisorHandle(host=this_host(), **said)

    def go(self) -> None:
        self._say(b"g")

    def renew(self) -> None:
        self._say(b".")

    async def ending(self, take: Callable[[bytes], None]) -> Ending:
        """Pass on all output until nothing of the stage is left."""
        draining = asyncio.create_task(self._drain(take))
        try:
            ending = Ending(**await self._hear())
            await self._process.wait()
            await asyncio.wait({draining}, timeout=_LATE_OUTPUT.total_seconds())
        finally:
            draining.cancel()
        return ending

    async def gone(self) -> None:
        """Let go, and wait until the supervisor has killed the tree and ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _drain(self, take: Callable[[bytes], None]) -> None:
        while chunk := await self._output.read(_CHUNK):
            take(chunk)

    async def _hear(self) -> dict[str, Any]:
        line = await self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise UnavailableError("the supervisor of a stage ended without a word")
        said: dict[str, Any] = json.loads(line)
        return said

    def _say(self, words: bytes) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(words)


@asynccontextmanager
async def supervisor(*locks: int | None) -> AsyncIterator[Supervisor]:
    """A supervisor that holds `locks` while it lives, and is dead, its stage with it, when the block is left by any way."""
    ours, theirs = os.pipe()
    try:
        output, transport = await _reader(ours)
        process = await uninterrupted(_spawn(theirs, tuple(lock for lock in locks if lock is not None)))
    finally:
        os.close(theirs)
    watched = Supervisor(process, output)
    try:
        yield watched
    finally:
        try:
            await uninterrupted(watched.gone())
        finally:
            transport.close()


async def wait_until_dead(handle: SupervisorHandle, within: timedelta) -> bool:
    """Whether the supervisor, and so its stage, is known dead before `within` has passed; never of another host."""
    if handle.host != this_host():
        return False
    if not lives(handle.pid, handle.start_time):
        return True
    try:
        watched = os.pidfd_open(handle.pid)
    except ProcessLookupError:
        return True
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                await _readable(watched)
        return not lives(handle.pid, handle.start_time)
    finally:
        os.close(watched)


@cache
def this_host() -> str:
    """Hostname, boot and process namespace: where a pid with its start time names one process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"


class LocalHost:
    """This machine; implements `services.ports.Host`."""

    def name(self) -> str:
        return this_host()

    async def wait_until_dead(self, handle: SupervisorHandle, within: timedelta) -> bool:
        return await wait_until_dead(handle, within)


async def _readable(descriptor: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=_CHUNK)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0))
    return reader, transport


async def _spawn(output: int, locks: tuple[int, ...]) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _PROGRAM, str(Path(__file__).parents[2]),
        stdin=PIPE, stdout=PIPE, stderr=output, env={}, cwd="/", start_new_session=True,
        pass_fds=locks,
    )  # fmt: skip
