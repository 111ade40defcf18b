"""A real process runner over a folder that a stage's uid can pass."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.blobs import DirectoryBlobs
from adapters.runners.process import ProcessRunner
from tests.unit.adapters.runners.stage_builders import runner_at


@pytest.fixture
def place() -> Iterator[Path]:
    """A new folder outside pytest's own, which nobody but its owner can pass."""
    folder = Path(tempfile.mkdtemp(prefix="stage-"))
    folder.chmod(0o711)
    yield folder
    for path in [inner for inner in folder.rglob("*") if inner.is_dir()]:
        path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def blobs(place: Path) -> DirectoryBlobs:
    return DirectoryBlobs(place / "blobs")


@pytest.fixture
def runner(place: Path, blobs: DirectoryBlobs) -> ProcessRunner:
    return runner_at(place, blobs)
