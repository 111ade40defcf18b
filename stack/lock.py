"""Let one process at a time own a data directory."""

import fcntl
import os
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from domain.errors import ConflictError

_TICK_S = 0.05


class DirectoryLock:
    """An exclusive lock on `directory/lock`, whose holder writes its process id into it.

    A holder that was killed keeps the lock until its guard has ended its children: that is waited for.
    """

    def __init__(self, directory: Path, *, patience: timedelta = timedelta(seconds=10)) -> None:
        self._path = directory / "lock"
        self._patience = patience
        self.descriptor = -1

    def take(self) -> Self:
        """Raises ConflictError naming the process that holds it."""
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + self._patience.total_seconds()
        while not self._try():
            holder = self._holder()
            if _is_alive(holder) or time.monotonic() > deadline:
                os.close(self.descriptor)
                raise ConflictError(f"{self._path.parent} is in use by process {holder}; stop it or name another directory")
            time.sleep(_TICK_S)
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self.take()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def _try(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> int:
        text = os.pread(self.descriptor, 32, 0).decode(errors="replace").strip()
        return int(text) if text.isdecimal() else 0


def _is_alive(pid: int) -> bool:
    """Whether `pid` still runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
