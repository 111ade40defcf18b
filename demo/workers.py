"""The workers that execute, as the kernel knows them: which one runs a stage now, and the hard way to end it."""

import os
import signal
from collections.abc import Callable

import psutil

Pids = Callable[[], tuple[int, ...]]


def executing(pids: Pids) -> int | None:
    """The worker that has a stage's supervisor for a child, or None while there is no such one."""
    return next((pid for pid in pids() if _has_children(pid)), None)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _has_children(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return False
