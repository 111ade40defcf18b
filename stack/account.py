"""As whom PostgreSQL runs when we are root, and where that account can reach its files."""

import hashlib
import os
import pwd
import tempfile
from pathlib import Path

from domain.base import Value
from domain.errors import UnavailableError

ORDINARY_UID = 60_600
"""Unassigned on Debian and by systemd, and below 65,536, so that it exists inside user namespaces too."""

SHARED = Path("/var/lib/suture")
"""Where root puts what an ordinary account must reach although the data directory lies behind a closed door."""


class Account(Value):
    """An ordinary account by number; it needs no name and no password entry."""

    uid: int
    gid: int


def ordinary(uid: int = ORDINARY_UID) -> Account | None:
    """The account to drop to, or None when we are ordinary already."""
    return Account(uid=uid, gid=uid) if os.geteuid() == 0 else None


def named() -> Account | None:
    """An ordinary account with an entry in the password file, for programs that look themselves up there."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def can_enter(directory: Path, account: Account) -> bool:
    """Whether the account can traverse every folder down to and including `directory`."""
    directory = directory.resolve()
    return all(_may(folder, account, 0o1) for folder in (directory, *directory.parents))


def can_run(program: Path, account: Account) -> bool:
    """Whether the account can read and execute the file behind `program`."""
    program = program.resolve()
    return program.exists() and can_enter(program.parent, account) and _may(program, account, 0o5)


def home(data: Path, account: Account | None) -> Path:
    """The folder for PostgreSQL's files: inside `data`, or a folder of its own when the account cannot enter `data`."""
    if account is None or can_enter(data, account):
        return _folder(data / "postgres", 0o700 if account is None else 0o711)
    name = hashlib.sha256(bytes(data.resolve())).hexdigest()[:12]
    temporary = Path(tempfile.gettempdir()).resolve()
    if data.resolve().is_relative_to(temporary):
        return _folder(temporary / f"suture-{name}", 0o711)
    return _folder(_folder(SHARED, 0o711) / name, 0o711)


def give(path: Path, account: Account | None, mode: int) -> None:
    """Make `path` the account's own, with exactly this mode."""
    if account is not None:
        os.chown(path, account.uid, account.gid)
    path.chmod(mode)


def give_all(folder: Path, account: Account | None) -> None:
    """Make everything below and including `folder` the account's own; links are not followed."""
    if account is None:
        return
    for _, folders, files, descriptor in os.fwalk(folder):
        for name in (*folders, *files):
            os.chown(name, account.uid, account.gid, dir_fd=descriptor, follow_symlinks=False)
        os.chown(descriptor, account.uid, account.gid)


def _may(path: Path, account: Account, bits: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        return status.st_mode >> 6 & bits == bits
    if status.st_gid == account.gid:
        return status.st_mode >> 3 & bits == bits
    return status.st_mode & bits == bits


def _folder(path: Path, mode: int) -> Path:
    path.mkdir(exist_ok=True, mode=mode)
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        raise UnavailableError(f"{path} belongs to somebody else; remove it or name another data directory")
    path.chmod(mode)
    return path
