"""Draws one HTML page: what the run loaded, its totals and a line of the chosen column."""

import json
from html import escape
from statistics import fmean

from .contract import config, count_rows, inputs, outputs, read_rows, require, run

_WIDTH, _HEIGHT, _POINTS = 720, 120, 240


def main() -> None:
    column = config()["chart_column"]
    columns, rows = read_rows(inputs("join") / "joined.csv")
    require(column, columns, where="join output")
    loaded = json.loads((inputs("load") / "loaded.json").read_text(encoding="utf-8"))
    values = [float(row[column]) for row in rows]
    facts = {"hours": len(rows), "rows loaded": loaded["rows"], "mean": f"{fmean(values):.3f}", "peak": f"{max(values):.3f}"}
    (outputs() / "report.html").write_text(_page(column, facts, values), encoding="utf-8")
    count_rows(len(rows))


def _page(title: str, facts: dict[str, object], values: list[float]) -> str:
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(fact))}</td></tr>" for name, fact in facts.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1><table>{lines}</table>{_sparkline(values)}</html>\n"
    )


def _sparkline(values: list[float]) -> str:
    drawn = values[:: max(1, len(values) // _POINTS)]
    top = max(drawn) or 1.0
    points = " ".join(
        f"{at * _WIDTH / max(1, len(drawn) - 1):.1f},{_HEIGHT - value / top * _HEIGHT:.1f}" for at, value in enumerate(drawn)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img">'
        f'<polyline fill="none" stroke="currentColor" points="{points}"/></svg>'
    )


if __name__ == "__main__":
    run("report", main)
