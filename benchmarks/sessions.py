"""F1 of the odd sessions among sequences of event ids.

Run as `python -m benchmarks.sessions --data DIR --predictions OUT`. The detector learns from 2,000 normal sessions of the
folder `--fit`, drawn with a fixed seed. Labels of `--data` are read only to count, and need not be there; what was learnt from
is not counted.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.files import SHARED, rows
from domain.base import Value
from models.detectors.contract import Finding
from models.sessions import ALARM, Sessions

DATA = SHARED / "hdfs_sessions"
NORMAL = 2_000
SEED = 0


class Session(Value):
    """One session as the folder holds it; `odd` is its label, None when it has none."""

    events: tuple[str, ...]
    odd: bool | None


class Counts(Value):
    """Alarms against labels."""

    right: int
    false: int
    missed: int

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.false + self.missed)


def sessions(data: Path) -> list[Session]:
    """Every session of the folder, in the order of its files and rows."""
    return [_session(row) for path in sorted(data.iterdir()) if ".csv" in path.suffixes for row in rows(path)]


def drawn(known: list[Session], seed: int) -> list[int]:
    """The rows of `NORMAL` normal sessions, or of all when there are fewer."""
    normal = [row for row, session in enumerate(known) if session.odd is False]
    return sorted(np.random.default_rng(seed).permutation(normal)[:NORMAL].tolist())


def counts(found: list[Finding], labelled: list[Session], learnt: set[int]) -> Counts:
    counted = [row for row, session in enumerate(labelled) if session.odd is not None and row not in learnt]
    pairs = [(found[row].score >= ALARM, labelled[row].odd) for row in counted]
    return Counts(right=pairs.count((True, True)), false=pairs.count((True, False)), missed=pairs.count((False, True)))


def write(found: list[Finding], predictions: Path) -> None:
    predictions.mkdir(parents=True, exist_ok=True)
    lines = ({"index": index, "score": each.score, "anomalous": each.score >= ALARM} for index, each in enumerate(found))
    (predictions / "sessions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def measure(data: Path, fit: Path, predictions: Path | None, seed: int) -> None:
    known, asked = sessions(fit), sessions(data)
    chosen = drawn(known, seed)
    detector = Sessions.fit(known[row].events for row in chosen)
    began = time.perf_counter()
    found = [detector.score(session.events) for session in asked]
    speed = len(asked) / (time.perf_counter() - began)
    if predictions is not None:
        write(found, predictions)
    same = data.resolve() == fit.resolve()
    show(counts(found, asked, set(chosen) if same else set()), found, any(each.odd is not None for each in asked), speed)


def show(figures: Counts, found: list[Finding], labelled: bool, speed: float) -> None:
    print(f"{'sessions':>10}{'alarms':>10}{'right':>10}{'false':>10}{'missed':>10}{'per s':>10}")
    alarms = sum(each.score >= ALARM for each in found)
    print(f"{len(found):>10}{alarms:>10}{figures.right:>10}{figures.false:>10}{figures.missed:>10}{speed:>10.0f}")
    f1 = round(figures.f1, 4) if labelled else None
    print(json.dumps({"bench": "sessions", "f1": f1, "threshold": ALARM, "sessions_per_s": round(speed)}))


def _session(row: dict[str, str]) -> Session:
    label = row.get("label")
    return Session(events=tuple(row["sequence"].split()), odd=label.strip() == "1" if label else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="a folder laid out as that of the development data")
    parser.add_argument("--fit", type=Path, default=DATA, help="the folder whose normal sessions are learnt from")
    parser.add_argument("--predictions", type=Path, help="where to write the score of every session")
    parser.add_argument("--seed", type=int, default=SEED, help="which normal sessions are drawn")
    options = parser.parse_args()
    measure(options.data, options.fit, options.predictions, options.seed)


if __name__ == "__main__":
    main()
