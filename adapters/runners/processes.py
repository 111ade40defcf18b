"""The process table: who lives, who descends from us, and how to end them all. Standard library only."""

import os
import signal
from contextlib import suppress

# Fields of /proc/<pid>/stat, counted from the third on.
_STATE, _PARENT, _THREADS, _START_TIME = 0, 1, 17, 19


def start_time(pid: int) -> int:
    """When the process began, in ticks since boot: with its pid it names one process."""
    return int(_fields(pid)[_START_TIME])


def lives(pid: int, started: int) -> bool:
    """Whether that very process is neither gone nor a zombie."""
    try:
        fields = _fields(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[_START_TIME]) == started and fields[_STATE] not in (b"Z", b"X")


def kill_tree(uid: int | None) -> None:
    if uid is not None:
        kill_all_of(uid)
    # Stopped processes cannot fork, so the scan catches up with any fork bomb; then they all go.
    stopped: set[int] = set()
    while found := descendants() - stopped:
        for pid in found:
            send(pid, signal.SIGSTOP)
        stopped |= found
    for pid in stopped:
        send(pid, signal.SIGKILL)


def kill_all_of(uid: int) -> None:
    """Kill every process of a uid at once; the uid belongs to this stage alone while we hold its lock."""
    killer = os.fork()
    if killer:
        # A process of that uid could stop the killer first: then we go on without it.
        os.waitpid(killer, os.WUNTRACED)
    else:
        try:
            os.setresuid(uid, uid, uid)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)


def descendants() -> set[int]:
    """Every process below this one; zombies count until they are collected."""
    children: dict[int, list[int]] = {}
    for pid in _processes():
        with suppress(OSError):
            children.setdefault(int(_fields(pid)[_PARENT]), []).append(pid)
    found: set[int] = set()
    open_ends = [os.getpid()]
    while open_ends:
        below = children.get(open_ends.pop(), [])
        found.update(below)
        open_ends += below
    return found


def threads_of(uid: int) -> int:
    """What the kernel counts against RLIMIT_NPROC of that user."""
    count = 0
    for pid in _processes():
        with suppress(OSError):
            if os.lstat(f"/proc/{pid}").st_uid == uid:
                count += int(_fields(pid)[_THREADS])
    return count


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _processes() -> list[int]:
    with os.scandir("/proc") as entries:
        return [int(entry.name) for entry in entries if entry.name.isdigit()]


def _fields(pid: int) -> list[bytes]:
    """The second field may hold spaces and brackets, so they are counted from its end."""
    stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    try:
        return os.read(stat, 4096).rpartition(b")")[2].split()
    finally:
        os.close(stat)
