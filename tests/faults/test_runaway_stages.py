"""Stages that never end or never stop talking: the whole tree is gone in time, and the worker stays small."""

import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.blobs import DirectoryBlobs
from domain.stage import OUTPUT_KEPT, Outcome
from tests.faults.report import FULL, bar, counted
from tests.unit.adapters.runners.stage_builders import Watcher, alive_with, runner_at, stage

TIMEOUT = timedelta(seconds=1)
KILLED_WITHIN = TIMEOUT.total_seconds() + bar(1.0)
SAID = 1_000_000_000 if FULL else 100_000_000
GROWTH = 20 * 1024 * 1024

SLEEPER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
time.sleep(3600)
"""
TALKER = f"""
import os
block = b"x" * 1_000_000
for _ in range({SAID} // len(block)):
    view = memoryview(block)
    while view:
        view = view[os.write(1, view):]
os.write(1, b"the last words")
"""


@pytest.fixture
def place():
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_f37_a_stage_that_sleeps_forever_is_killed_with_all_its_children(place, fault):
    """It ignores SIGTERM and has forked twice into sessions of their own; nothing of it is left one second after its time."""
    blobs, took, broken = DirectoryBlobs(place / "blobs"), [], []
    runner = runner_at(place, blobs)
    for number in range(counted(20)):
        command = await stage(blobs, place, SLEEPER, timeout=TIMEOUT, step_key=f"sleeper-{number}-{place.name}/load")
        watcher, began = Watcher(), time.monotonic()
        result = await runner.run(command, {}, heartbeat=watcher.beat, started=watcher.started)
        took.append(time.monotonic() - began)
        broken += [] if result.timed_out else ["it did not run into its timeout"]
        broken += [f"process {pid} is left" for pid in alive_with(command.step_key)]
    broken += [f"killed after {each:.2f} s" for each in took if each > KILLED_WITHIN]
    fault.note(runs=len(took), violations=broken, survivors=0 if not broken else len(broken), killed_within_s=max(took))


async def test_f38_a_stage_that_never_stops_talking_is_cut(place, fault):
    """Head and tail are kept, the digest covers all of it, and the worker grows by less than 20 MB."""
    blobs = DirectoryBlobs(place / "blobs")
    command = await stage(blobs, place, TALKER, timeout=timedelta(seconds=120))
    watcher = Watcher()
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    began = time.monotonic()
    result = await runner_at(place, blobs).run(command, {}, heartbeat=watcher.beat, started=watcher.started)
    took = time.monotonic() - began
    grown = _peak() - before
    broken = [] if grown < GROWTH else [f"the worker has grown by {grown} bytes"]
    kept = len(result.head) + len(result.tail)
    broken += [] if kept <= 2 * OUTPUT_KEPT + 1024 else [f"{kept} bytes are kept"]
    broken += [] if result.truncated and result.tail.endswith("the last words") else ["the end is not what it said last"]
    broken += [] if result.output_bytes >= SAID else [f"{result.output_bytes} bytes were counted"]
    broken += [] if result.outcome is Outcome.PASSED else [f"it ended as {result.outcome}"]
    fault.note(
        runs=1,
        violations=broken,
        said_bytes=result.output_bytes,
        kept_bytes=kept,
        rss_growth_bytes=grown,
        mb_per_s=SAID / took / 1e6,
    )


def _peak() -> int:
    """The most memory this process has had since its peak was last forgotten, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
