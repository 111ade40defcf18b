"""What a stage is given and what it leaves: config, inputs and secrets in, outputs and a row count out."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, str]


class StageError(Exception):
    """Why a stage cannot go on, in one line for people."""


def run(stage: str, work: Callable[[], None]) -> None:
    """Do the work; what is wrong becomes one line on standard error and exit 1."""
    try:
        work()
    except StageError as error:
        sys.exit(f"{stage}: {error}")


def config() -> dict[str, Any]:
    """The config keys this stage uses."""
    content: dict[str, Any] = json.loads(Path(os.environ["SUTURE_CONFIG"]).read_text(encoding="utf-8"))
    return content


def code() -> Path:
    return Path(os.environ["SUTURE_CODE"])


def inputs(stage: str) -> Path:
    """What `stage` left."""
    return Path(os.environ["SUTURE_INPUTS"]) / stage


def outputs() -> Path:
    return Path(os.environ["SUTURE_OUTPUTS"])


def secret(name: str) -> str:
    try:
        return (Path(os.environ["SUTURE_SECRETS"]) / name).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise StageError(f"the secret '{name}' is not given") from None


def is_dry_run() -> bool:
    return os.environ.get("SUTURE_DRY_RUN") == "1"


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """The columns and the rows of a csv file."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or []), list(reader)


def write_rows(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with (outputs() / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def count_rows(count: int) -> None:
    """Tell the runner how many rows this attempt handled."""
    (outputs() / ".metrics.json").write_text(json.dumps({"rows": count}), encoding="utf-8")


def require(column: str, present: Sequence[str], *, where: str) -> None:
    if column not in present:
        raise StageError(f"column '{column}' not found in {where}; present: {', '.join(present)}")
