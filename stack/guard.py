"""Outlive the parent just long enough to end every process group it leaves behind.

Run as a script. Standard library only and no import of ours, because it must stay small.
It reads `+pid signal` and `-pid` lines from a pipe. The end of the pipe means that the parent is gone.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_GRACE_S, _QUIT_S, _TICK_S = 4.0, 2.0, 0.02


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    with os.fdopen(int(sys.argv[1]), "rb", buffering=0) as pipe:
        groups = _listen(pipe)
    _end(groups)


def _listen(pipe: Iterable[bytes]) -> dict[int, int]:
    groups: dict[int, int] = {}
    for line in pipe:
        if line.startswith(b"+"):
            pid, number = line[1:].split()
            groups[int(pid)] = int(number)
        else:
            groups.pop(int(line[1:]), None)
    return groups


def _end(groups: dict[int, int]) -> None:
    """Ask politely, then ask PostgreSQL for its immediate shutdown, then kill."""
    for pid, number in groups.items():
        _send(os.kill, pid, number)
    _bury(groups, within=_GRACE_S)
    for pid in groups:
        _send(os.kill, pid, signal.SIGQUIT)
    _bury(groups, within=_QUIT_S)
    for pid in groups:
        _send(os.killpg, pid, signal.SIGKILL)


def _bury(groups: dict[int, int], *, within: float) -> None:
    """Kill the rest of each group as soon as its leader is gone, and strike it off."""
    deadline = time.monotonic() + within
    while groups and time.monotonic() < deadline:
        for pid in [pid for pid in groups if not _is_alive(pid)]:
            _send(os.killpg, pid, signal.SIGKILL)
            del groups[pid]
        time.sleep(_TICK_S)


def _send(send: Callable[[int, int], None], pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        send(pid, number)


def _is_alive(pid: int) -> bool:
    """Whether the process is more than a zombie nobody has buried."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


if __name__ == "__main__":
    main()
