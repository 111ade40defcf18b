"""Keep what children print in files that stay small and that outlive every crash."""

import os
import shutil
from pathlib import Path

LIMIT = 8 * 1024 * 1024
_TAIL = 2_000


class BoundedLog:
    """One log file and one older part beside it, each about `limit` bytes.

    The child appends to the file itself, so its last words survive the death of everybody else.
    """

    def __init__(self, path: Path, *, limit: int = LIMIT) -> None:
        self.path = path
        self._limit = limit

    def open(self) -> int:
        """A file descriptor to append to; the caller closes it."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def trim(self) -> None:
        """Move the last `limit` bytes aside and empty the file when it has grown over its limit."""
        if not self.path.exists() or (size := self.path.stat().st_size) <= self._limit:
            return
        with self.path.open("rb") as grown, _private(self.path.with_suffix(".log.1")).open("wb") as older:
            grown.seek(size - self._limit)
            shutil.copyfileobj(grown, older)
        os.truncate(self.path, 0)

    def tail(self) -> str:
        """The end of the log, for an error message."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as log:
            log.seek(max(0, self.path.stat().st_size - _TAIL))
            return log.read(_TAIL).decode(errors="replace").strip()


def _private(path: Path) -> Path:
    path.touch(mode=0o600)
    return path
