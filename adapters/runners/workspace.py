"""The folders of one attempt of a stage: laid out before, taken away whole after."""

import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from domain.stage import StageCommand

_PATH = "/usr/local/bin:/usr/bin:/bin"
_METRICS_LIMIT = 64 * 1024
_ROWS = TypeAdapter(int)


class Workspace:
    """Root owns the frame and the read-only parts; the stage's uid owns where it works, writes and its secrets."""

    def __init__(self, folder: Path, uid: int | None) -> None:
        self.folder, self._uid = folder, uid
        self.code, self.inputs = folder / "code", folder / "inputs"
        self.work, self.outputs, self.secrets = folder / "work", folder / "outputs", folder / "secrets"
        self.config = folder / "config.json"
        self.lock: int | None = None

    def lay_out(self, command: StageCommand, secrets: Mapping[str, str]) -> None:
        self.folder.mkdir(mode=0o700, parents=True)
        # The supervisor inherits it: a folder nobody holds belongs to a worker that is dead, and so is its stage.
        self.lock = _locked(self.folder)
        for part in (self.code, self.inputs, self.work, self.outputs, self.secrets):
            part.mkdir(mode=0o700)
        for stage in command.inputs:
            (self.inputs / stage).mkdir(mode=0o700)
        self.config.write_text(json.dumps(command.config, ensure_ascii=False))
        self.config.chmod(0o444)
        for name, value in secrets.items():
            self._write_secret(self.secrets / name, value)

    def hand_over(self) -> None:
        """Let the stage in: nobody else can pass the frame."""
        self.inputs.chmod(0o555)
        self.secrets.chmod(0o500)
        if self._uid is None:
            return
        for part in (self.work, self.outputs, self.secrets, *self.secrets.iterdir()):
            os.chown(part, self._uid, self._uid)
        os.chown(self.folder, 0, self._uid)
        self.folder.chmod(0o710)

    def environment(self, command: StageCommand) -> dict[str, str]:
        """All a stage finds in its environment."""
        values = {
            "PATH": _PATH,
            "PYTHONPATH": str(self.code),
            "SUTURE_CODE": str(self.code),
            "SUTURE_CONFIG": str(self.config),
            "SUTURE_INPUTS": str(self.inputs),
            "SUTURE_OUTPUTS": str(self.outputs),
            "SUTURE_SECRETS": str(self.secrets),
            "SUTURE_STEP_KEY": command.step_key,
            "SUTURE_STEP_VERSION": command.step_version,
        }
        if command.dry_run:
            values["SUTURE_DRY_RUN"] = "1"
        if command.traceparent is not None:
            values["TRACEPARENT"] = command.traceparent
        return values

    def rows(self) -> int | None:
        """What the stage says it handled; None when it says nothing that is a count."""
        try:
            descriptor = os.open(self.outputs / ".metrics.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as metrics:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return _rows(metrics.read(_METRICS_LIMIT + 1))

    def remove(self) -> None:
        """Take everything away, also what the stage made unreadable. Nothing of the stage runs any more."""
        if self.lock is None:
            return
        try:
            _open_up(self.folder)
            for folder, names, _ in os.walk(self.folder):
                for name in names:
                    _open_up(Path(folder, name))
            shutil.rmtree(self.folder)
        finally:
            os.close(self.lock)

    def _write_secret(self, path: Path, value: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as written:
            written.write(value.encode())


def remove_abandoned(workspaces: Path, *, older_than: timedelta) -> int:
    """Remove what workers that were killed left behind, secrets included; the count of folders removed."""
    removed, limit = 0, time.time() - older_than.total_seconds()
    for folder in workspaces.iterdir():
        with suppress(FileNotFoundError):  # another worker of this host was faster
            removed += _removed(folder, untouched_since=limit)
    return removed


def _removed(folder: Path, *, untouched_since: float) -> bool:
    if folder.lstat().st_mtime > untouched_since or (lock := _locked(folder)) is None:
        return False
    place = Workspace(folder, None)
    place.lock = lock
    place.remove()
    return True


def _locked(folder: Path) -> int | None:
    """The folder, open and locked; None if somebody holds it."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _rows(metrics: bytes) -> int | None:
    if len(metrics) > _METRICS_LIMIT:
        return None
    try:
        said = json.loads(metrics)
        rows = _ROWS.validate_python(said["rows"] if isinstance(said, dict) else None, strict=True)
    except (ValueError, KeyError, RecursionError, ValidationError):
        return None
    return rows if 0 <= rows < 2**63 else None


def _open_up(folder: Path) -> None:
    if not folder.is_symlink():
        folder.chmod(0o700)
