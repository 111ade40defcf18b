"""The workers that execute, as the kernel knows them: which one runs a stage now, and the hard way to end it."""

import os
import signal
from collections.abc import Callable

import psutil

Pids = Callable[[], tuple[int, ...]]


def executing(pids: Pids) -> int | None:
    """The worker that has a stage's supervisor for a child, or None while there is no such one."""
    return next((pid for pid in pids() if _has_children(pid)), None)


def kill(pid: int) -> tuple[psutil.Process, ...]:
    """End the worker; returns the processes it had below it, which are to die with it."""
    below = tuple(psutil.Process(pid).children(recursive=True))
    os.kill(pid, signal.SIGKILL)
    return below


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _has_children(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).children())
    except psutil.NoSuchProcess:
        return False
