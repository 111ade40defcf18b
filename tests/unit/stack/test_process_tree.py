"""Children start healthy, come back when they die, and never outlive their parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import psutil
import pytest

from domain.errors import ConflictError, UnavailableError
from stack.child import ChildSpec, Restart
from stack.logs import BoundedLog
from stack.supervise import Supervisor

ROOT = Path(__file__).parents[3]
FOREVER = ("sleep", "300")
QUICK = Restart(first=timedelta(milliseconds=10), most=timedelta(milliseconds=20), attempts=3)
STUBBORN = "import os, signal, time; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(300)"
PARENT = """
import asyncio, signal, sys
from pathlib import Path
from stack.child import ChildSpec
from stack.supervise import Supervisor

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it

async def main():
    supervisor = Supervisor(Path(sys.argv[1]), report=print)
    await supervisor.open()
    nest = ("sh", "-c", "sleep 300 & sleep 300")
    for name, argv in (("plain", ("sleep", "300")), ("nest", nest)):
        await supervisor.run(ChildSpec(name=name, argv=argv))
        print(supervisor.pid(name), flush=True)
    await supervisor.wait()

asyncio.run(main())
"""


@pytest.fixture
async def told() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, told: list[str]) -> AsyncIterator[Supervisor]:
    made = Supervisor(tmp_path / "logs", report=told.append)
    await made.open()
    yield made
    await made.close()


async def until(true: Callable[[], bool], within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)


def _says(log: Path, word: str) -> bool:
    return word in log.read_text()


def _members(group: int) -> list[int]:
    """The living processes of a process group."""
    return [process.pid for process in psutil.process_iter() if _is_in(process, group)]


def _is_in(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


async def test_dead_child_comes_back(supervisor: Supervisor) -> None:
    """A child that is killed is replaced by another process."""
    await supervisor.run(ChildSpec(name="worker", argv=FOREVER, restart=QUICK))
    first = supervisor.pid("worker")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pid("worker") not in {first, None})


async def test_child_that_keeps_dying_ends_the_wait(supervisor: Supervisor, told: list[str]) -> None:
    """After its last attempt the wait raises with the child's last words."""
    spec = ChildSpec(name="worker", argv=("sh", "-c", "sleep 0.05; echo no database; exit 3"), restart=QUICK)
    await supervisor.run(spec)
    with pytest.raises(UnavailableError, match=r"(?s)worker ended with 3, 4 times.*no database"):
        await asyncio.wait_for(supervisor.wait(), 10)
    assert len(told) == 3


async def test_a_child_that_yields_takes_less_of_the_processor_than_the_others(supervisor: Supervisor) -> None:
    """By its own niceness, and by that of its session where the kernel shares among sessions."""
    for name, niceness in (("first", 0), ("behind", 5)):
        await supervisor.run(ChildSpec(name=name, argv=FOREVER, niceness=niceness))
    first, behind = (supervisor.pid(name) for name in ("first", "behind"))
    assert first is not None
    assert behind is not None

    await until(lambda: psutil.Process(behind).name() == "sleep")
    assert psutil.Process(behind).nice() == psutil.Process(first).nice() + 5
    if (group := Path(f"/proc/{behind}/autogroup")).exists():
        assert group.read_text().split()[-1] == "5"


async def test_pauses_double_up_to_the_longest() -> None:
    """The pause between restarts grows and is bounded."""
    restart = Restart(first=timedelta(seconds=1), most=timedelta(seconds=5))
    assert [restart.pause(failures).total_seconds() for failures in (1, 2, 3, 4, 10_000)] == [1, 2, 4, 5, 5]


async def test_child_that_never_gets_well_is_refused_and_stopped(supervisor: Supervisor) -> None:
    """A child that is not well in time leaves an error and no process."""
    spec = ChildSpec(name="api", argv=FOREVER, health_url="http://127.0.0.1:9/", ready_within=timedelta(milliseconds=200))
    with pytest.raises(UnavailableError, match="api was not well within"):
        await supervisor.run(spec)
    assert supervisor.names() == ()


async def test_program_that_does_not_exist_is_reported_at_once(supervisor: Supervisor) -> None:
    """A missing program is not waited for."""

    async def never() -> bool:
        return False

    with pytest.raises(UnavailableError, match="ended before it was well"):
        await supervisor.run(ChildSpec(name="ghost", argv=("/no/such/program",)), never)


async def test_name_is_taken_once(supervisor: Supervisor) -> None:
    """Two children of one name are refused."""
    await supervisor.run(ChildSpec(name="one", argv=FOREVER))
    with pytest.raises(ConflictError, match="one runs already"):
        await supervisor.run(ChildSpec(name="one", argv=FOREVER))


async def test_child_that_ignores_the_stop_signal_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    """After its grace a stubborn child is ended, and its children with it."""
    spec = ChildSpec(name="mule", argv=(sys.executable, "-c", STUBBORN), grace=timedelta(milliseconds=100))
    await supervisor.run(spec)
    await until(lambda: (tmp_path / "logs" / "mule.log").read_text() != "")
    pid = supervisor.pid("mule")
    assert pid is not None
    await supervisor.end("mule")
    assert _members(pid) == []


async def test_children_stop_youngest_first(tmp_path: Path) -> None:
    """What started last is stopped first."""
    supervisor = Supervisor(tmp_path / "logs", report=lambda _: None)
    await supervisor.open()
    for name in ("first", "second"):
        script = f"trap 'echo {name} >> {tmp_path}/order; exit' TERM; echo up; while :; do sleep 0.01; done"
        await supervisor.run(ChildSpec(name=name, argv=("sh", "-c", script)))
        await until(partial(_says, tmp_path / "logs" / f"{name}.log", "up"))
    await supervisor.close()
    assert (tmp_path / "order").read_text().split() == ["second", "first"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_parent(tmp_path: Path, number: signal.Signals) -> None:
    """However the parent dies, its children and theirs are gone in a moment."""
    parent, groups = _start_parent(tmp_path)
    _wait_until(lambda: len(_members(groups[1])) == 3, "the nest has a leader and two more")
    parent.send_signal(number)
    parent.wait(timeout=10)
    _wait_until(lambda: not any(map(_members, groups)), "every group is gone", within=3)


def test_child_killed_at_birth_leaves_nothing(tmp_path: Path) -> None:
    """A parent that dies while a child is still becoming its program leaves no process either."""
    parent, groups = _start_parent(tmp_path)
    parent.kill()
    parent.wait(timeout=10)
    _wait_until(lambda: not any(map(_members, groups)), "every group is gone", within=3)


def test_children_die_with_the_parent_even_without_their_guard(tmp_path: Path) -> None:
    """Killing guard and parent at once still ends every child itself; only the guard could end grandchildren."""
    parent, groups = _start_parent(tmp_path)
    _wait_until(lambda: len(_members(groups[1])) == 3, "the nest has a leader and two more")
    guards = [child for child in psutil.Process(parent.pid).children() if "guard.py" in " ".join(child.cmdline())]
    parent.send_signal(signal.SIGSTOP)
    guards[0].kill()
    parent.kill()
    parent.wait(timeout=10)
    _wait_until(lambda: not set(groups) & {pid for group in groups for pid in _members(group)}, "the leaders are gone")
    os.killpg(groups[1], signal.SIGKILL)


def _start_parent(tmp_path: Path) -> tuple["subprocess.Popen[str]", list[int]]:
    argv = [sys.executable, "-c", PARENT, str(tmp_path)]
    parent = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout is not None
    with parent.stdout as lines:
        return parent, [int(lines.readline()) for _ in range(2)]


def _wait_until(true: Callable[[], bool], what: str, within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.02)


def test_log_stays_within_its_limit(tmp_path: Path) -> None:
    """A log that grew too long keeps its end, in an older part of bounded size."""
    log = BoundedLog(tmp_path / "talker.log", limit=1_000)
    descriptor = log.open()
    os.write(descriptor, b"a" * 5_000 + b"b" * 900)
    log.trim()
    os.write(descriptor, b"after")
    os.close(descriptor)
    assert log.path.read_bytes() == b"after"
    assert (tmp_path / "talker.log.1").read_bytes() == b"a" * 100 + b"b" * 900
