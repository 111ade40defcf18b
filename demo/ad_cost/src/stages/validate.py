"""Lets a series through only if its columns exist, its values are amounts and its time does not run back."""

import math

from .contract import Row, StageError, config, count_rows, inputs, read_rows, require, run, write_rows


def main() -> None:
    settings = config()
    columns, series = _extracted()
    total = 0
    for key, name in (("click_column", "click"), ("mille_column", "mille")):
        column = settings[key]
        require(column, columns, where="extract output")
        rows = series[column]
        _check(rows, column)
        write_rows(f"{name}.csv", ("timestamp", "cost"), ((row["timestamp"], row[column]) for row in rows))
        total += len(rows)
    count_rows(total)


def _extracted() -> tuple[list[str], dict[str, list[Row]]]:
    """All columns there are, and the rows that hold each."""
    columns: list[str] = []
    series: dict[str, list[Row]] = {}
    for path in sorted(inputs("extract").glob("*.csv")):
        names, rows = read_rows(path)
        columns += [name for name in names if name not in columns]
        series |= dict.fromkeys(names, rows)
    return columns, series


def _check(rows: list[Row], column: str) -> None:
    before = ""
    for number, row in enumerate(rows, start=2):
        if row["timestamp"] < before:
            raise StageError(f"line {number}: time runs back from {before} to {row['timestamp']}")
        before = row["timestamp"]
        if not _is_amount(row[column]):
            raise StageError(f"line {number}: '{column}' is not an amount")


def _is_amount(text: str) -> bool:
    try:
        amount = float(text)
    except ValueError:
        return False
    return math.isfinite(amount) and amount >= 0


if __name__ == "__main__":
    run("validate", main)
