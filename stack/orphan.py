"""Clear what a PostgreSQL server left behind when it was killed together with its guard."""

import os
import signal
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from domain.errors import UnavailableError

_PATIENCE = timedelta(seconds=10)
_TICK_S = 0.05


def end(cluster: Path) -> None:
    """End a server that still runs on `cluster` and remove its pid file.

    Whoever calls this owns the data directory, so such a server has no owner any more. A pid file whose number
    belongs to another program by now would keep PostgreSQL from starting.
    """
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    first = pid_file.read_text().split("\n", 1)[0].strip()
    if first.isdecimal() and _serves(int(first), cluster):
        _end(int(first), cluster)
    pid_file.unlink(missing_ok=True)


def _serves(pid: int, cluster: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").resolve() == cluster.resolve() and Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def _end(pid: int, cluster: Path) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)
    deadline = time.monotonic() + _PATIENCE.total_seconds()
    while _serves(pid, cluster):
        if time.monotonic() > deadline:
            raise UnavailableError(f"process {pid} still serves {cluster}; run: kill -9 {pid}")
        time.sleep(_TICK_S)
