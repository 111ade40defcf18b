"""Labelled series as folders of CSV files, and the predictions written for them."""

import csv
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.files import content_of
from models.detectors.contract import Detector


@dataclass(frozen=True)
class Series:
    """One file: `name` is its folder and name without what compresses it; no labels when it has none."""

    name: str
    times: tuple[datetime, ...]
    values: tuple[float | None, ...]
    labels: tuple[bool, ...] | None

    @property
    def folder(self) -> str:
        return self.name.partition("/")[0]


def series_in(folder: Path) -> Iterator[Series]:
    """Every `<folder>/<file>.csv`, also compressed, in the order of their names."""
    for path in sorted(folder.glob("*/*")):
        if path.is_file() and path.name.removesuffix(".gz").removesuffix(".xz").endswith(".csv"):
            yield _read(path, path.relative_to(folder).as_posix().removesuffix(".gz").removesuffix(".xz"))


def moment(text: str) -> datetime:
    """A time as the files write it; without a zone it is UTC."""
    at = datetime.fromisoformat(text.strip())
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def scores(series: Series, detector: Detector) -> list[float]:
    """The detector's score of each row, in order."""
    return [detector.observe(at, (value,)).score for at, value in zip(series.times, series.values, strict=True)]


def scored(all_series: Sequence[Series], build: Callable[[], Detector]) -> tuple[dict[str, list[float]], float]:
    """The scores of each series by its name, each by a new detector, and how many rows a second of CPU time took."""
    started = time.process_time()
    found = {series.name: scores(series, build()) for series in all_series}
    rows = sum(len(each) for each in found.values())
    return found, rows / max(time.process_time() - started, 1e-9)


def write(out: Path, found: dict[str, list[float]], threshold: float) -> None:
    """The prediction files: one line for each row, and the threshold that was fixed before."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "threshold.json").write_text(json.dumps({"threshold": threshold}) + "\n")
    for name, of_rows in found.items():
        path = out / Path(name).with_suffix(".jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps({'row': row, 'score': score})}\n" for row, score in enumerate(of_rows)))


def _read(path: Path, name: str) -> Series:
    rows = [
        {key.strip().lower(): text for key, text in row.items()}
        for row in csv.DictReader(content_of(path).decode("utf-8-sig").splitlines())
    ]
    labelled = bool(rows) and "label" in rows[0]
    return Series(
        name=name,
        times=tuple(moment(row["timestamp"]) for row in rows),
        values=tuple(_number(row["value"]) for row in rows),
        labels=tuple(_number(row["label"]) == 1 for row in rows) if labelled else None,
    )


def _number(text: str) -> float | None:
    """The number written, None when there is none."""
    return float(text) if text.strip() and text.strip().lower() != "nan" else None
