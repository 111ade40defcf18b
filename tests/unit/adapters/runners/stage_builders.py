"""Builds process runners, stages of one module, and the worker that watches them."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

from adapters.blobs import DirectoryBlobs
from adapters.runners.identity import StageIdentity
from adapters.runners.process import Pace, ProcessRunner
from domain.base import ExecutionId
from domain.stage import Effect, StageCommand, StageLimits, SupervisorHandle
from outside import STAGE_UIDS

PYTHON = Path(shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or "/usr/bin/python3")
UIDS = STAGE_UIDS
"""Those of the host, behind its own locks: another test's worker would end every process of a uid that it thinks is its own."""
VERSION = "0" * 64


def runner_at(place: Path, blobs: DirectoryBlobs, *, lease: float = 2, limits: StageLimits | None = None) -> ProcessRunner:
    identity = StageIdentity(UIDS)
    pace = Pace(lease=timedelta(seconds=lease), grace=timedelta(milliseconds=200))
    return ProcessRunner(blobs, place / "work", identity, interpreter=PYTHON, limits=limits, pace=pace)


async def stage(blobs: DirectoryBlobs, place: Path, program: str, **fields: object) -> StageCommand:
    """A stage whose code is one module, `stage`, holding `program`."""
    code = place / "code" / os.urandom(4).hex()
    code.mkdir(parents=True)
    (code / "stage.py").write_text(program)
    told = {
        "execution": ExecutionId(int=1),
        "stage": "load",
        "argv": ("python", "-m", "stage"),
        "effect": Effect.NONE,
        "timeout": timedelta(seconds=10),
        "step_key": "run-1/load",
        "step_version": VERSION,
        "code": await blobs.put_tree(code),
    }
    return StageCommand.model_validate(told | fields)


class Watcher:
    """What a worker does around a stage: it stores the handle and heartbeats."""

    def __init__(self) -> None:
        self.handles: list[SupervisorHandle] = []
        self.beats = 0

    async def started(self, handle: SupervisorHandle) -> None:
        self.handles.append(handle)

    def beat(self) -> None:
        self.beats += 1


def alive_with(mark: str) -> list[int]:
    """Every process whose environment or command line holds `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in told:
            found.append(int(entry.name))
    return found
