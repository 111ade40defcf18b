"""Whom a stage runs as: an ordinary uid of its own when the worker is root, else the worker's own user."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from domain.errors import InvalidError, UnavailableError


@dataclass(frozen=True)
class Identity:
    """One stage's uid (None: the worker's own) and the open lock that reserves it on this host."""

    uid: int | None
    lock: int | None


class StageIdentity:
    """Gives each running stage of a host a uid that nobody else has while it lives.

    All workers of one host share `locks`: the end of a stage is enforced by killing everything of its uid.
    The supervisor inherits the lock, so a uid is free again only when its supervisor is gone too.
    """

    def __init__(self, uid_range: range | None, *, locks: Path = Path("/run/suture/uids")) -> None:
        if os.geteuid() == 0 and not uid_range:
            raise InvalidError("a worker started as root needs a range of uids for its stages, got none")
        if os.geteuid() == 0 and uid_range and uid_range.start < 1000:
            raise InvalidError(f"expected stage uids from 1000 on, got {uid_range.start}")
        self._uids, self._locks = uid_range if os.geteuid() == 0 else None, locks

    @property
    def uids(self) -> range | None:
        return self._uids

    @contextmanager
    def claimed(self) -> Iterator[Identity]:
        """A free uid, for as long as the block and the supervisor started in it last.

        Raises:
            UnavailableError: every uid of the range has a running stage.
        """
        if self._uids is None:
            yield Identity(uid=None, lock=None)
            return
        self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = next((free for uid in self._uids if (free := self._claim(uid))), None)
        if identity is None or identity.lock is None:
            raise UnavailableError(f"all {len(self._uids)} stage uids of this host are in use")
        try:
            yield identity
        finally:
            os.close(identity.lock)

    def _claim(self, uid: int) -> Identity | None:
        lock = os.open(self._locks / str(uid), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return Identity(uid=uid, lock=lock)


def unreachable(path: Path) -> Path | None:
    """The first folder on the way to `path`, or `path`, that an ordinary uid cannot enter or read; None if it can."""
    target = path.resolve()
    for folder in reversed(target.parents):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None if target.stat().st_mode & 0o001 else target
