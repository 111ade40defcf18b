"""Files that hold a secret: made once, whole or not at all, readable by their owner alone."""

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from domain.errors import InvalidError

_LIMIT = 64 * 1024


def read_or_create(path: Path, generate: Callable[[], bytes]) -> bytes:
    """The content of `path`, which is made with `generate` if there is none; of two who make it at once, one wins.

    Raises:
        InvalidError: others than the owner may read or write it.
    """
    if not path.exists():
        _create(path, generate())
    return read(path)


def read(path: Path) -> bytes:
    """The content of a private file."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise InvalidError(f"{path} has mode {mode:04o}, so others may use the secret in it; run: chmod 600 {path}")
        return file.read(_LIMIT)


def _create(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was faster: its file stands
            os.link(draft, path)
    finally:
        Path(draft).unlink()
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """The name must survive a power cut too, or what was encrypted under the key is lost."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
