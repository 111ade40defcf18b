"""Event F1 of the alarms on the metrics of servers, and how often a blamed metric is a labelled one.

Run as `python -m benchmarks.servers --data DIR --predictions OUT`. Of each machine the detector learns from the train half and
scores the test half row by row. A score of 0.5 is the 99.9 % quantile of the train scores, so the threshold is one for all.
Labels are read after the predictions are written, and need not be there.
"""

import argparse
import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.files import SHARED, content_of, lines
from benchmarks.scoring.events import Counts, counts
from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.jumps import ALARM, Jumps

DATA = SHARED / "server_metrics"
GAP = DELAY = 5
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Segment(Value):
    """A labelled stretch of rows and the metrics that are to blame for it."""

    first: int
    last: int
    metrics: frozenset[str]


class Figures(Value):
    """One machine: its alarms against its events, and the segments of which a blamed metric is a labelled one."""

    machine: str
    rows_per_s: float
    alarms: int
    counts: Counts | None
    why: int
    segments: int


def machines(data: Path) -> Iterator[tuple[str, dict[str, NDArray[np.float64]]]]:
    """Every machine of the folder with its arrays, whatever it is called."""
    for path in sorted(data.iterdir()):
        if ".npz" in path.suffixes:
            with np.load(io.BytesIO(content_of(path)), allow_pickle=False) as arrays:
                yield path.name.split(".npz")[0], {name: arrays[name].astype(float) for name in arrays.files}


def predict(arrays: dict[str, NDArray[np.float64]]) -> tuple[list[Finding], float]:
    """What the detector says of each row of the test half, and how many rows a second it takes."""
    detector = Jumps.fit(arrays["train"], [str(metric + 1) for metric in range(arrays["train"].shape[1])])
    began = time.perf_counter()
    findings = [detector.observe(_BEGAN + timedelta(minutes=row), values) for row, values in enumerate(arrays["test"])]
    return findings, len(findings) / (time.perf_counter() - began)


def write(findings: list[Finding], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = ({"row": row, "score": found.score, "why": list(found.metrics)} for row, found in enumerate(findings))
    path.write_text("".join(f"{json.dumps(line)}\n" for line in made))


def segments(data: Path, machine: str) -> list[Segment]:
    """The labelled stretches of `machine`; none when nobody labelled it."""
    paths = [path for path in data.glob("interpretation/*") if path.name.split(".txt")[0] == machine]
    return [_segment(line) for path in paths for line in lines(path) if line.strip()]


def blamed(findings: list[Finding], segment: Segment) -> bool:
    """Is a labelled metric among those blamed in the segment's oddest row?"""
    oddest = max(findings[segment.first : segment.last + 1], key=lambda finding: finding.score, default=None)
    return oddest is not None and not segment.metrics.isdisjoint(oddest.metrics)


def measure(data: Path, predictions: Path | None) -> list[Figures]:
    figures = []
    for machine, arrays in machines(data):
        findings, speed = predict(arrays)
        if predictions is not None:
            write(findings, predictions / "servers" / f"{machine}.jsonl")
        figures.append(_figures(machine, findings, speed, arrays.get("label"), segments(data, machine)))
    if predictions is not None:
        (predictions / "servers").mkdir(parents=True, exist_ok=True)
        (predictions / "servers" / "threshold.json").write_text(json.dumps({"threshold": ALARM}))
    return figures


def show(figures: list[Figures]) -> None:
    print(f"{'machine':<16}{'found':>10}{'false':>10}{'F1':>8}{'why@3':>10}{'rows/s':>10}")
    for each in figures:
        found = f"{each.counts.found}/{each.counts.events}" if each.counts else "-"
        false = f"{each.counts.false}/{each.counts.alarms}" if each.counts else f"-/{each.alarms}"
        f1 = f"{each.counts.f1:.3f}" if each.counts else "-"
        print(f"{each.machine:<16}{found:>10}{false:>10}{f1:>8}{f'{each.why}/{each.segments}':>10}{each.rows_per_s:>10.0f}")
    line: dict[str, float | str | None] = {"bench": "servers"}
    for group in sorted({_group(each.machine) for each in figures}):
        known = [each.counts for each in figures if each.counts and _group(each.machine) == group]
        pooled, mean = sum(known, start=Counts()), float(np.mean([each.f1 for each in known])) if known else 0.0
        print(f"{group:<16} all events together: F1 {pooled.f1:.3f}; mean of its machines {mean:.3f}")
        line[f"f1_{group}"] = round(pooled.f1, 4) if known else None
    of_all = sum(each.segments for each in figures)
    line["why_at_3"] = round(sum(each.why for each in figures) / of_all, 4) if of_all else None
    print(json.dumps(line | {"threshold": ALARM, "rows_per_s": round(float(np.median([each.rows_per_s for each in figures])))}))


def _figures(
    machine: str, findings: list[Finding], speed: float, label: NDArray[np.float64] | None, known: list[Segment]
) -> Figures:
    scores = np.array([finding.score for finding in findings])
    return Figures(
        machine=machine,
        rows_per_s=speed,
        alarms=int((scores >= ALARM).sum()),
        counts=None if label is None else counts(scores.tolist(), label.tolist(), threshold=ALARM, gap=GAP, delay=DELAY),
        why=sum(blamed(findings, segment) for segment in known),
        segments=len(known),
    )


def _group(machine: str) -> str:
    return machine.split("-", maxsplit=1)[0]


def _segment(line: str) -> Segment:
    stretch, metrics = line.split(":")
    first, last = stretch.split("-")
    return Segment(first=int(first), last=int(last), metrics=frozenset(each.strip() for each in metrics.split(",")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="a folder laid out as that of the development data")
    parser.add_argument("--predictions", type=Path, help="where to write the scores of every row")
    options = parser.parse_args()
    show(measure(options.data, options.predictions))


if __name__ == "__main__":
    main()
