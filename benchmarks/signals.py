"""Every bar of what is seen, one benchmark after the other, in one table.

Run as `python -m benchmarks.signals`; `--only logs nab` takes some of them. Each is a process of its own, and the last line it
prints is repeated here.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from benchmarks.stack import ROOT
from domain.base import Value

_WITHIN_S = 900


class Bar(Value):
    """What a figure of a benchmark should come to: at least that, or at most."""

    bench: str
    figure: str
    wanted: float
    at_most: bool = False

    def verdict(self, figures: Mapping[str, float]) -> str:
        found = figures.get(self.figure)
        if found is None:
            return "not measured"
        is_met = found <= self.wanted if self.at_most else found >= self.wanted
        return "met" if is_met else f"missed by {abs(found - self.wanted):.4g}"


BARS = (
    Bar(bench="logs", figure="GA", wanted=0.93),
    Bar(bench="logs", figure="FGA", wanted=0.93),
    Bar(bench="logs", figure="PA", wanted=0.65),
    Bar(bench="logs", figure="lines_per_s", wanted=20_000),
    Bar(bench="nab", figure="score", wanted=76),
    Bar(bench="cloud", figure="f1", wanted=0.75),
    Bar(bench="servers", figure="f1_omi", wanted=0.60),
    Bar(bench="servers", figure="f1_machine", wanted=0.75),
    Bar(bench="servers", figure="why_at_3", wanted=0.95),
    Bar(bench="sessions", figure="f1", wanted=0.99),
    Bar(bench="redaction", figure="recall", wanted=0.98),
    Bar(bench="redaction", figure="over_redaction", wanted=0.002, at_most=True),
    Bar(bench="redaction", figure="jwts_left", wanted=0, at_most=True),
    Bar(bench="redaction", figure="lines_per_s", wanted=30_000),
    Bar(bench="ingest", figure="lines_per_min", wanted=200_000),
    Bar(bench="ingest", figure="lost", wanted=0, at_most=True),
    Bar(bench="ingest", figure="incident_p95_s", wanted=2, at_most=True),
    Bar(bench="ingest", figure="answer_p99_ms", wanted=300, at_most=True),
    Bar(bench="ingest", figure="pss_mb", wanted=2_048, at_most=True),
)
BENCHES = tuple(dict.fromkeys(bar.bench for bar in BARS))


def run(bench: str) -> dict[str, float]:
    """The figures of its last line.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    print(f"{bench}: measuring", file=sys.stderr, flush=True)
    argv = [sys.executable, "-m", f"benchmarks.{bench}"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    if done.returncode:
        raise SystemExit(f"the benchmark {bench} failed; it said: {done.stderr[-2_000:]}")
    line = done.stdout.splitlines()[-1]
    print(line, flush=True)
    return {name: value for name, value in json.loads(line).items() if isinstance(value, int | float)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=BENCHES)
    wanted = parser.parse_args().only
    figures = {bench: run(bench) for bench in wanted}
    chosen = [bar for bar in BARS if bar.bench in figures]
    table = Table("bench", "figure", "bar", "found", "verdict")
    for bar in chosen:
        found = figures[bar.bench].get(bar.figure)
        shown = "-" if found is None else f"{found:g}"
        table.add_row(
            bar.bench, bar.figure, f"{'<=' if bar.at_most else '>='} {bar.wanted:g}", shown, bar.verdict(figures[bar.bench])
        )
    Console(width=100).print(table)
    missed = sum(bar.verdict(figures[bar.bench]) != "met" for bar in chosen)
    print(json.dumps({"bench": "signals", "at": datetime.now(UTC).isoformat(timespec="seconds"), "missed": missed}))


if __name__ == "__main__":
    main()
