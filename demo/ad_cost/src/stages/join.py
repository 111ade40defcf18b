"""Joins both series by the hour and works out how many clicks a thousand views brought."""

import asyncio
from pathlib import Path
from statistics import fmean

from .contract import config, count_rows, inputs, read_rows, require, run, write_rows
from .hold import hold

_HOUR = len("2011-07-01 00")


def main() -> None:
    asyncio.run(hold("stage_before"))
    column = config()["join_column"]
    click, mille = (_by_hour(inputs("validate") / f"{name}.csv", column) for name in ("click", "mille"))
    rows = [
        (f"{hour}:00:00", f"{click[hour]:.6f}", f"{mille[hour]:.6f}", f"{mille[hour] / click[hour]:.6f}")
        for hour in sorted(click.keys() & mille.keys())
        if click[hour] > 0
    ]
    write_rows("joined.csv", ("hour", "cost_per_click", "cost_per_mille", "clicks_per_mille"), rows)
    count_rows(len(rows))


def _by_hour(path: Path, column: str) -> dict[str, float]:
    """The mean cost of each hour."""
    columns, rows = read_rows(path)
    require(column, columns, where="validate output")
    costs: dict[str, list[float]] = {}
    for row in rows:
        costs.setdefault(row[column][:_HOUR], []).append(float(row["cost"]))
    return {hour: fmean(found) for hour, found in costs.items()}


if __name__ == "__main__":
    run("join", main)
