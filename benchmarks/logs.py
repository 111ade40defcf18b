"""How well and how fast log lines are grouped: GA, FGA and PA over labelled samples, one configuration for all.

Run as `python -m benchmarks.logs --data DIR --predictions OUT`. DIR holds a folder for each system, with
`*_structured.csv` (its column `Content` is clustered, `EventTemplate` is the truth, if there) or a plain `*.log`. The speed
is measured on the log files below `--speed`, one core, the slow path of new shapes included.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.files import SHARED, lines, rows
from benchmarks.scoring.logs import grouping, parsing_accuracy
from models.logs.miner import Miner

ROUNDS = 3


class Sample(NamedTuple):
    system: str
    contents: list[str]
    truth: list[str] | None


class Figures(NamedTuple):
    ga: float
    fga: float
    pa: float


def samples(folder: Path) -> list[Sample]:
    return [_sample(each) for each in sorted(folder.iterdir()) if each.is_dir()]


def cluster(contents: list[str]) -> tuple[list[int], list[str]]:
    """The group of each line and its template, as they stand after the last line."""
    miner = Miner()
    taken = [miner.take(line, 0.0).number for line in contents]
    templates = {each.number: each.text for each in miner.templates()}
    groups = [number for each in taken if (number := miner.current(each)) is not None]
    return groups, [templates[number] for number in groups]


def lines_per_s(folder: Path) -> float:
    """The median of some rounds over every line of the log files, each round with a miner that knows nothing."""
    contents = [row["Log"] for path in sorted(folder.glob("**/log/*.csv*")) for row in rows(path) if row.get("Log")]
    return statistics.median(_speed(contents) for _ in range(ROUNDS)) if contents else 0.0


def _speed(contents: list[str]) -> float:
    miner, began = Miner(), time.perf_counter()
    for line in contents:
        miner.take(line, 0.0)
    return len(contents) / (time.perf_counter() - began)


def _sample(folder: Path) -> Sample:
    structured = sorted(folder.glob("*_structured.csv*"))
    if not structured:
        return Sample(folder.name, [line for path in sorted(folder.glob("*.log*")) for line in lines(path)], None)
    table = list(rows(structured[0]))
    truth = [row["EventTemplate"] for row in table] if "EventTemplate" in table[0] else None
    return Sample(folder.name, [row["Content"] for row in table], truth)


def _write(path: Path, groups: list[int], templates: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number, (group, template) in enumerate(zip(groups, templates, strict=True), start=1):
            file.write(json.dumps({"line": number, "group": group, "template": template}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "loghub_2k")
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--speed", type=Path, default=SHARED / "nezha")
    chosen = parser.parse_args()
    table = Table("system", "lines", "groups", "GA", "FGA", "PA")
    figures = []
    for sample in samples(chosen.data):
        groups, templates = cluster(sample.contents)
        if chosen.predictions:
            _write(chosen.predictions / "logs" / f"{sample.system}.jsonl", groups, templates)
        shown = ["", "", ""]
        if sample.truth:
            figures.append(Figures(*grouping(sample.truth, groups), parsing_accuracy(sample.truth, templates)))
            shown = [f"{each:.3f}" for each in figures[-1]]
        table.add_row(sample.system, str(len(groups)), str(len(set(groups))), *shown)
    Console().print(table)
    print(json.dumps({"bench": "logs"} | _means(figures) | {"lines_per_s": round(lines_per_s(chosen.speed))}))


def _means(figures: list[Figures]) -> dict[str, float]:
    if not figures:
        return {}
    wanted = {"GA": [each.ga for each in figures], "FGA": [each.fga for each in figures], "PA": [each.pa for each in figures]}
    return {name: round(statistics.fmean(each), 4) for name, each in wanted.items()}


if __name__ == "__main__":
    main()
