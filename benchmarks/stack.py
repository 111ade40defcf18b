"""How long the stack takes to be ready, and how much memory it holds at rest.

Run as `python -m benchmarks.stack`. It measures all that `suture up` starts; with `--base` PostgreSQL, Temporal and OPA alone.
"""

import argparse
import asyncio
import json
import os
import shlex
import signal
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil

from domain.base import Value
from stack.bundle import Sources
from stack.local import Plan, Preferred, Stack
from stack.probe import is_well
from stack.tools import Search, default_cache

ROOT = Path(__file__).parents[1]
READY = "stack ready"
READY_BAR, PSS_BAR = timedelta(seconds=15), 1_200
_LIMIT = timedelta(minutes=2)
_STOP = timedelta(seconds=30)


class Question(Value):
    """What to start, and how to see that it is ready: a line it prints, or an address that answers."""

    command: str
    ready_line: str
    ready_url: str | None
    rest: timedelta


class Reading(Value):
    """One start: seconds until ready, and megabytes by process name at rest."""

    ready_s: float
    pss_mb: dict[str, float]

    @property
    def total_mb(self) -> float:
        return sum(self.pss_mb.values())


async def measure(question: Question, data: Path) -> Reading:
    argv = shlex.split(question.command.replace("{data}", str(data)))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, cwd=ROOT, env=environment)
    try:
        async with asyncio.timeout(_LIMIT.total_seconds()):
            await _ready(process, question)
        ready = time.monotonic() - began
        drained = asyncio.create_task(drain(process))
        await asyncio.sleep(question.rest.total_seconds())
        held = pss(process.pid)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), _STOP.total_seconds())
        await drained
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Reading(ready_s=round(ready, 2), pss_mb=held)


def pss(root: int) -> dict[str, float]:
    """Proportional set size in MB of a process and all its descendants, by program name."""
    held: dict[str, float] = {}
    parent = psutil.Process(root)
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, OSError):
            name = process.name()
            held[name] = held.get(name, 0.0) + _pss_kb(process.pid) / 1024
    return held


def held(*, besides: int | None = None) -> float:
    """MB of all that this process has started, without itself and one other."""
    return sum(sum(pss(each.pid).values()) for each in psutil.Process().children() if each.pid != besides)


def _pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


async def _ready(process: Process, question: Question) -> None:
    if question.ready_url is not None:
        while not await is_well(question.ready_url):
            if process.returncode is not None:
                raise SystemExit(f"the command ended with {process.returncode} before it was ready")
            await asyncio.sleep(0.05)
        return
    await until_said(process, question.ready_line)


async def until_said(process: Process, word: str) -> None:
    """Wait for the line that holds `word`; a process that ends before is an error."""
    assert process.stdout is not None
    while word not in (line := (await process.stdout.readline()).decode(errors="replace")):
        if not line:
            raise SystemExit("the command ended before it was ready")


async def drain(process: Process) -> None:
    """Read on, so that it never waits for somebody who does."""
    assert process.stdout is not None
    while await process.stdout.read(65_536):
        pass


async def hold(data: Path) -> None:
    """Run the base stack until interrupted."""
    tools = Search(modules=ROOT / "tools", cache=default_cache(), path=os.environ["PATH"])
    with tempfile.TemporaryDirectory() as policies:
        (Path(policies) / "bench.rego").write_text("package bench\n\ndefault allow := false\n")
        anywhere = Preferred(temporal=0, temporal_ui=0, opa=0)
        plan = Plan(tools=tools, policies=Sources(rego=Path(policies)), preferred=anywhere)
        async with Stack(data, plan, report=print):
            print(READY, flush=True)
            await asyncio.Event().wait()


def show(readings: list[Reading]) -> None:
    """The table, then the JSON line with medians. The first start, which creates the cluster, is shown and not counted."""
    warm = readings[1:] or readings
    ready = round(statistics.median(reading.ready_s for reading in warm), 2)
    total = round(statistics.median(reading.total_mb for reading in warm), 1)
    print(f"{'start':<8}{'ready s':>10}{'PSS MB':>10}")
    for number, reading in enumerate(readings):
        print(f"{'first' if number == 0 else 'warm':<8}{reading.ready_s:>10.2f}{reading.total_mb:>10.1f}")
    for name, held in sorted(warm[-1].pss_mb.items(), key=lambda pair: -pair[1]):
        print(f"  {name:<16}{held:>10.1f}")
    print(f"bars: ready <= {READY_BAR.total_seconds():.0f} s, PSS <= {PSS_BAR} MB")
    print(json.dumps({"bench": "stack", "ready_s": ready, "pss_mb": total}))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    python = shlex.quote(sys.executable)
    parser.add_argument(
        "--command", default=f"{python} -m cli up --data {{data}}", help="what to start; {data} becomes the data directory"
    )
    base = f"{python} -m benchmarks.stack --hold {{data}}"
    parser.add_argument("--base", dest="command", action="store_const", const=base, help="PostgreSQL, Temporal and OPA alone")
    parser.add_argument("--ready-line", default=READY, help="a line that holds this says: ready")
    parser.add_argument("--ready-url", help="an address that answers when ready, instead of a line")
    parser.add_argument("--rest", type=float, default=3.0, help="seconds between ready and the reading of memory")
    parser.add_argument("--starts", type=int, default=4, help="how often to start; the first is not counted")
    parser.add_argument("--hold", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


async def compare(options: argparse.Namespace) -> None:
    question = Question(
        command=options.command,
        ready_line=options.ready_line,
        ready_url=options.ready_url,
        rest=timedelta(seconds=options.rest),
    )
    with tempfile.TemporaryDirectory(prefix="suture-bench-") as data:
        show([await measure(question, Path(data)) for _ in range(options.starts)])


def main() -> None:
    options = arguments()
    with suppress(KeyboardInterrupt):
        asyncio.run(compare(options) if options.hold is None else hold(options.hold))


if __name__ == "__main__":
    main()
