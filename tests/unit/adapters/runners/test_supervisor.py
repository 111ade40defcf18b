"""Nothing of a stage outlives its deadline, its cancellation or its worker."""

import asyncio
import hashlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.blobs import DirectoryBlobs
from adapters.runners.process import ProcessRunner
from adapters.runners.supervisor import this_host, wait_until_dead
from domain.errors import LeaseLostError, UnavailableError
from domain.stage import OUTPUT_KEPT, Outcome, StageCommand, StageLimits, SupervisorHandle
from tests.unit.adapters.runners.stage_builders import Watcher, alive_with, runner_at, stage

ROOT = Path(__file__).parents[4]
SECOND = timedelta(seconds=1)

STUBBORN = """
import os, signal, time
witness = os.open(WITNESS, os.O_WRONLY)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.write(witness, b"grandchild\\n")
        time.sleep(1000)
    os._exit(0)
os.wait()
os.write(witness, b"stage\\n")
END
"""


class Witness:
    """A pipe every process of the stage holds open: its end is the end of the last of them."""

    def __init__(self, place: Path) -> None:
        self.path = place / "witness"
        os.mkfifo(self.path)
        self.path.chmod(0o622)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.StreamReader]:
        reader = asyncio.StreamReader()
        pipe = os.fdopen(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            yield reader
        finally:
            transport.close()


@pytest.fixture
def witness(place: Path) -> Witness:
    return Witness(place)


async def stubborn(
    blobs: DirectoryBlobs, place: Path, *, end: str = "time.sleep(1000)", timeout: timedelta = timedelta(seconds=60)
) -> StageCommand:
    """A stage that ignores SIGTERM and has a daemon in a session of its own."""
    program = STUBBORN.replace("WITNESS", repr(str(place / "witness"))).replace("END", end)
    return await stage(blobs, place, program, timeout=timeout)


async def at_work(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(10):
        assert {await reader.readline(), await reader.readline()} == {b"grandchild\n", b"stage\n"}


async def all_gone(reader: asyncio.StreamReader, place: Path, *, within: float) -> None:
    async with asyncio.timeout(within):
        assert await reader.read() == b""
    assert alive_with(f"{place}/work/") == []


@asynccontextmanager
async def worker(place: Path, *commands: StageCommand) -> AsyncIterator[Process]:
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PATH": os.environ["PATH"]}
    told = [command.model_dump_json() for command in commands]
    program = str(Path(__file__).with_name("worker_program.py"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, str(place), *told, stdout=PIPE, env=environment, limit=2**20
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def heard(process: Process) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return await process.stdout.readline()


async def test_deadline(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path, witness: Witness) -> None:
    """F37: a stage that ignores SIGTERM is gone a second after its timeout, with its double-forked child."""
    watcher, timeout = Watcher(), timedelta(seconds=1)
    async with witness.listening() as reader:
        before = time.monotonic()
        result = await runner.run(
            await stubborn(blobs, place, timeout=timeout), {}, heartbeat=watcher.beat, started=watcher.started
        )
        assert time.monotonic() - before <= (timeout + SECOND).total_seconds()
        await at_work(reader)
        await all_gone(reader, place, within=0.1)
    assert (result.outcome, result.timed_out, result.signal) == (Outcome.FAILED, True, signal.SIGKILL)
    assert watcher.beats >= 2
    assert list((place / "work").iterdir()) == []


async def test_a_stage_whose_worker_no_longer_holds_it(place: Path, blobs: DirectoryBlobs, witness: Witness) -> None:
    """The worker lives and beats, but its lease is not renewed elsewhere: the stage dies within one more lease."""
    watcher, lease, held = Watcher(), 1.0, [True]
    runner = runner_at(place, blobs, lease=lease)
    async with witness.listening() as reader:
        command = await stubborn(blobs, place)
        running = asyncio.create_task(
            runner.run(command, {}, heartbeat=watcher.beat, started=watcher.started, held=lambda: held[0])
        )
        await at_work(reader)
        await asyncio.sleep(2 * lease)
        assert not running.done()
        held[0] = False
        await all_gone(reader, place, within=lease + SECOND.total_seconds())
        with pytest.raises(LeaseLostError):
            await running


async def test_polite_end(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path) -> None:
    """A stage has a moment between SIGTERM and SIGKILL to end well."""
    program = """
import signal, sys, time
def end(*_):
    print("rolled back"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
time.sleep(100)
"""
    watcher = Watcher()
    command = await stage(blobs, place, program, timeout=timedelta(seconds=0.5))
    result = await runner.run(command, {}, heartbeat=watcher.beat, started=watcher.started)
    assert (result.head, result.exit_code, result.outcome) == ("rolled back\n", 0, Outcome.FAILED)


async def test_daemons_left_behind(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path, witness: Witness) -> None:
    """A stage that ends well takes its daemons with it."""
    watcher = Watcher()
    async with witness.listening() as reader:
        result = await runner.run(await stubborn(blobs, place, end="pass"), {}, heartbeat=watcher.beat, started=watcher.started)
        await at_work(reader)
        await all_gone(reader, place, within=0.1)
    assert result.outcome is Outcome.PASSED


async def test_cancellation(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path, witness: Witness) -> None:
    """A cancelled run, also one cancelled twice, raises only when its whole tree is dead and its folder gone."""
    watcher, command = Watcher(), await stubborn(blobs, place)
    async with witness.listening() as reader:
        running = asyncio.create_task(runner.run(command, {}, heartbeat=watcher.beat, started=watcher.started))
        await at_work(reader)
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await all_gone(reader, place, within=0.1)
    assert list((place / "work").iterdir()) == []
    assert await wait_until_dead(watcher.handles[0], timedelta())


async def test_a_heartbeat_that_refuses(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path, witness: Witness) -> None:
    """Where the worker may not go on, its stage ends."""
    watcher, command = Watcher(), await stubborn(blobs, place)
    ready = asyncio.Event()

    def beat() -> None:
        if ready.is_set():
            raise UnavailableError("no engine")

    async with witness.listening() as reader:
        running = asyncio.create_task(runner.run(command, {}, heartbeat=beat, started=watcher.started))
        await at_work(reader)
        ready.set()
        with pytest.raises(UnavailableError, match="no engine"):
            await running
        await all_gone(reader, place, within=0.1)


async def test_what_killed_workers_left_goes_as_soon_as_a_worker_serves(runner: ProcessRunner, place: Path) -> None:
    """A folder that nobody holds, with its secrets, is taken away; one that was just made may not be held yet."""
    left, fresh = place / "work" / "left", place / "work" / "fresh"
    for folder in (left, fresh):
        (folder / "secrets").mkdir(parents=True)
    os.utime(left, (0, 0))
    clearing = asyncio.create_task(runner.keep_clear())
    async with asyncio.timeout(5):
        while left.exists():
            await asyncio.sleep(0.01)
    clearing.cancel()
    assert fresh.exists()


async def test_a_killed_worker(runner: ProcessRunner, blobs: DirectoryBlobs, place: Path, witness: Witness) -> None:
    """F01, F02: the stage of a killed worker dies; another worker of the host sees it dead and takes its folder away."""
    command = await stubborn(blobs, place)
    async with witness.listening() as reader, worker(place, command) as process:
        handle = SupervisorHandle.model_validate_json(await heard(process))
        await at_work(reader)
        assert not await wait_until_dead(handle, timedelta(milliseconds=10))
        assert await runner.clear_abandoned(older_than=timedelta()) == 0
        process.kill()
        assert await wait_until_dead(handle, SECOND)
        await all_gone(reader, place, within=0.1)
        assert await runner.clear_abandoned(older_than=timedelta()) == 1
    assert list((place / "work").iterdir()) == []


async def test_a_stopped_worker(blobs: DirectoryBlobs, place: Path, witness: Witness) -> None:
    """A worker that stands still for longer than its lease loses its stage, and learns it when it wakes."""
    command = await stubborn(blobs, place)
    async with witness.listening() as reader, worker(place, command) as process:
        handle = SupervisorHandle.model_validate_json(await heard(process))
        await at_work(reader)
        process.send_signal(signal.SIGSTOP)
        assert await wait_until_dead(handle, 3 * SECOND)
        await all_gone(reader, place, within=0.1)
        process.send_signal(signal.SIGCONT)
        assert json.loads(await heard(process)) == {"refused": LeaseLostError.code}
    assert list((place / "work").iterdir()) == []


async def test_huge_output(blobs: DirectoryBlobs, place: Path) -> None:
    """F38: of 200 MB a head, a tail and the digest are kept, and the worker grows by less than 20 MB."""
    line = "0123456789abcde\n" * 4096
    small = await stage(blobs, place, "print('x' * 200_000)")
    huge = await stage(
        blobs, place, f"import sys\nfor _ in range(3200): sys.stdout.write({line!r})", timeout=timedelta(seconds=60)
    )
    async with worker(place, small, huge) as process:
        told = [await heard(process) for _ in range(4)]
    ended = json.loads(told[3])
    digest = hashlib.sha256()
    for _ in range(3200):
        digest.update(line.encode())
    result = ended["result"]
    assert (result["outcome"], result["truncated"]) == ("passed", True)
    assert result["output_bytes"] == 3200 * len(line)
    assert result["output_digest"] == digest.hexdigest()
    assert (result["head"], result["tail"]) == (line[:OUTPUT_KEPT], line[-OUTPUT_KEPT:])
    assert ended["grown"] < 20_000_000


async def test_fork_bomb(blobs: DirectoryBlobs, place: Path) -> None:
    """A stage that forks without end is bounded while it runs and gone at its deadline."""
    runner = runner_at(place, blobs, limits=StageLimits(processes=48))
    program = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        print("full", flush=True)
        time.sleep(1)
"""
    watcher, seen = Watcher(), []
    command = await stage(blobs, place, program, timeout=timedelta(seconds=1))
    before = time.monotonic()
    result = await runner.run(
        command, {}, heartbeat=lambda: seen.append(len(alive_with(f"{place}/work/"))), started=watcher.started
    )
    assert time.monotonic() - before <= 2.2
    assert result.timed_out
    assert "full" in result.head
    # An ordinary user's other processes come and go, and the kernel counts them too.
    assert max(seen) <= 48 + (0 if os.geteuid() == 0 else 16)
    assert alive_with(f"{place}/work/") == []


async def test_known_dead() -> None:
    """A pid that another process has by now is dead; a living one and one of another host are not known dead."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    ours = SupervisorHandle(host=this_host(), pid=os.getpid(), start_time=int(stat[19]))
    assert not await wait_until_dead(ours, timedelta(milliseconds=5))
    assert await wait_until_dead(ours.model_copy(update={"start_time": 1}), timedelta())
    assert await wait_until_dead(ours.model_copy(update={"pid": 2**22 - 1}), timedelta())
    assert not await wait_until_dead(ours.model_copy(update={"host": "other", "start_time": 1}), timedelta())
