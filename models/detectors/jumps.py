"""The metrics of one thing, and how abruptly they move together.

Each metric is held against two expectations: a forecast from its own last rows, and the median of the moment before. Both
errors are measured in their usual size while learning: half by the root of their mean square, which a few great ones make, half
by their 99 % quantile, which they do not touch. No error counts for more than one event in all the rows learnt from. The
oddness of a row is the root mean square over all metrics; what counts is its peak, so an event is one alarm and not a row of
them. A peak is known one row late.

A score of 0.5 is the 99.9 % quantile of what the detector scored while it learnt; a row that is no peak stays below a quarter.
Rows are taken to be evenly spaced.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import JsonValue

from models.detectors.contract import Finding

Numbers = NDArray[np.float64]
ALARM = 0.5
QUANTILE = 0.999
LAGS = 10
BEFORE = 5
QUIET = 12
LATE = 1
BLAMED_ROWS = 4
BLAMED = 3
_RIDGE = 1e-3
_HUGE = 1e100
_FAR = 1e6
_NORMAL = 2.576
_STILL = 1e-9
_ENOUGH = 3 * LAGS
_SUPPRESSED = 0.25


@dataclass(frozen=True)
class _Learnt:
    """What each metric usually is, and by how much it misses the forecast (first) and the moment before (second)."""

    rows: int
    middle: Numbers
    spread: Numbers
    forecast: Numbers
    sizes: Numbers
    means: Numbers
    flips: Numbers
    kin: Numbers
    odd: float = 1.0


@dataclass(frozen=True)
class _Recent:
    """The last rows, without holes, and what was made of them; the newest last."""

    rows: Numbers
    missing: Numbers
    blame: Numbers
    odd: Numbers


class Jumps:
    """A detector of rows in which metrics leave their course, after `fit` on rows that are mostly normal."""

    def __init__(self, metrics: Sequence[str], learnt: _Learnt, recent: _Recent) -> None:
        self._metrics = tuple(metrics)
        self._learnt = learnt
        self._recent = recent

    @classmethod
    def fit(cls, rows: Sequence[Sequence[float | None]] | Numbers, metrics: Sequence[str]) -> Self:
        """Learn from `rows`, oldest first; the next row observed is the one after them.

        Raises:
            ValueError: there are too few rows to tell what is usual, or the metrics are not as many as named.
        """
        if len(rows) < _ENOUGH:
            raise ValueError(f"expected at least {_ENOUGH} rows to learn from, got {len(rows)}")
        raw = np.array([_numbers(row) for row in rows])
        if raw.shape[1] != len(metrics):
            raise ValueError(f"expected {len(metrics)} metrics, got {raw.shape[1]}")
        learnt = _learn(raw)
        detector = cls(metrics, learnt, _start(raw[0], learnt))
        odd = np.array([detector._take(row) for row in raw])
        return cls(metrics, replace(learnt, odd=max(1.0, float(np.quantile(odd, QUANTILE)))), detector._recent)

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        if len(row) != len(self._metrics):
            raise ValueError(f"expected {len(self._metrics)} values, one for each metric, got {len(row)}")
        peak = self._take(_numbers(row))
        odd = peak or float(self._recent.odd[-1])
        score = odd / (odd + self._learnt.odd) * (1.0 if peak else _SUPPRESSED)
        blame = self._recent.blame.mean(axis=0)
        blamed = [metric for metric in _apart(blame, self._learnt.kin) if blame[metric] > 0]
        return Finding(
            score=score,
            reasons=tuple(self._reason(metric, blame) for metric in blamed) if score >= ALARM else (),
            metrics=tuple(self._metrics[metric] for metric in blamed),
        )

    def state(self) -> dict[str, JsonValue]:
        return {
            "metrics": list(self._metrics),
            "learnt": {name: _plain(value) for name, value in asdict(self._learnt).items()},
            "recent": {name: _plain(value) for name, value in asdict(self._recent).items()},
        }

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        kept: dict[str, Any] = dict(state)
        width = len(kept["metrics"])
        learnt = {name: _arrays(value) for name, value in kept["learnt"].items()}
        recent = {name: _arrays(value) for name, value in kept["recent"].items()}
        wide = {name: recent[name].reshape(-1, width) for name in ("rows", "missing", "blame")}
        return cls(kept["metrics"], _Learnt(**learnt), _Recent(**(recent | wide)))

    def _take(self, row: Numbers) -> float:
        """Move on by one row: how odd the row before was when it was a peak, else zero."""
        recent, learnt = self._recent, self._learnt
        missing = np.isnan(row)
        flipped = missing != (recent.missing[-1] > 0)
        filled = np.where(missing, recent.rows[-1], _standard(row, learnt))
        forecast = np.einsum("lm,lm->m", learnt.forecast, recent.rows)
        before = np.sort(recent.rows[-BEFORE:], axis=0)[BEFORE // 2]
        missed = np.where(missing, 0.0, np.abs(filled - np.stack([forecast, before])))
        rare = np.where(flipped, learnt.flips, np.inf)
        moved = np.maximum(_times(missed, learnt.sizes, most=np.sqrt(learnt.rows)), 1 / np.sqrt(rare))
        blame = np.maximum(_times(missed, learnt.means, most=learnt.rows), 1 / rare)
        odd = float(np.sqrt((moved**2).mean())) if len(moved) else 0.0
        self._recent = _Recent(
            rows=_push(recent.rows, filled),
            missing=_push(recent.missing, missing.astype(float)),
            blame=_push(recent.blame, blame),
            odd=np.append(recent.odd[1:], odd),
        )
        return _peak(self._recent.odd)

    def _reason(self, metric: int, blame: Numbers) -> str:
        if self._recent.missing[:, metric].any():
            return f"{self._metrics[metric]} went missing or came back"
        return f"{self._metrics[metric]} moved {blame[metric]:.0f} times as far as it usually does"


def _numbers(row: Sequence[float | None] | Numbers) -> Numbers:
    """`row` with NaN for whatever is missing or no number."""
    numbers = np.array([np.nan if value is None else value for value in row], dtype=float)
    return np.where(np.isfinite(numbers), np.clip(numbers, -_HUGE, _HUGE), np.nan)


def _standard(rows: Numbers, learnt: _Learnt) -> Numbers:
    """`rows` around the middle of each metric, in its spread; of one that never moved any step is a far one."""
    with np.errstate(all="ignore"):
        steps = (rows - learnt.middle) / learnt.spread
    return np.clip(np.where(rows == learnt.middle, 0.0, steps), -_FAR, _FAR)


def _times(missed: Numbers, usual: Numbers, *, most: float) -> Numbers:
    """How many times its usual size each error is, but at most `most` times; of both errors the mean."""
    with np.errstate(all="ignore"):
        times: Numbers = np.where(missed == 0, 0.0, np.minimum(missed / usual, most)).mean(axis=0)
    return times


def _peak(odd: Numbers) -> float:
    """The value `LATE` rows ago, if none before in the window reaches it and none since exceeds it; else zero."""
    value = odd[-1 - LATE]
    return float(value) if value > odd[: -1 - LATE].max() and value >= odd[-LATE:].max() else 0.0


def _apart(blame: Numbers, kin: Numbers) -> list[int]:
    """The metrics to blame: after the first, those that do not always move with one already blamed."""
    chosen: list[int] = []
    share = np.ones(len(blame))
    for _ in range(min(BLAMED, len(blame))):
        worth = blame * share
        worth[chosen] = -1.0
        chosen.append(int(worth.argmax()))
        share = np.minimum(share, 1 - kin[chosen[-1]])
    return chosen


def _push(rows: Numbers, row: Numbers) -> Numbers:
    return np.concatenate([rows[1:], row[None]])


def _start(first: Numbers, learnt: _Learnt) -> _Recent:
    """As if the first row had been there for long."""
    row = np.where(np.isnan(first), 0.0, _standard(first, learnt))
    return _Recent(
        rows=np.tile(row, (LAGS, 1)),
        missing=np.tile(np.isnan(first).astype(float), (BLAMED_ROWS, 1)),
        blame=np.zeros((BLAMED_ROWS, len(first))),
        odd=np.zeros(QUIET + 1 + LATE),
    )


def _learn(raw: Numbers) -> _Learnt:
    rows, width = raw.shape
    missing = np.isnan(raw)
    middle, spread = _each(raw, np.mean), _each(raw, np.std)
    still = spread <= _STILL * np.abs(middle)
    learnt = _Learnt(
        rows=rows,
        middle=np.where(still, _each(raw, np.median), middle),
        spread=np.where(still, 0.0, spread),
        forecast=np.zeros((LAGS, width)),
        sizes=np.zeros((2, width)),
        means=np.zeros((2, width)),
        flips=((missing[1:] != missing[:-1]).sum(axis=0) + 1) / (rows + 1),
        kin=np.zeros((width, width)),
    )
    return _with_errors(learnt, _filled(_standard(raw, learnt)), missing)


def _with_errors(learnt: _Learnt, rows: Numbers, missing: NDArray[np.bool_]) -> _Learnt:
    """What the errors on `rows`, which hold no holes any more, are like where nothing was missing."""
    past = sliding_window_view(np.concatenate([np.tile(rows[:1], (LAGS, 1)), rows]), LAGS, axis=0)[: len(rows)]
    forecast = _forecasts(past, rows, missing)
    errors = [rows - np.einsum("rml,lm->rm", past, forecast), rows - np.median(past[:, :, -BEFORE:], axis=2)]
    there = [np.where(missing, np.nan, np.abs(each)) for each in errors]
    return replace(
        learnt,
        forecast=forecast,
        sizes=np.stack([_each(each, _usual) for each in there]),
        means=np.stack([_each(each, np.mean) for each in there]),
        kin=_kin(np.where(missing, 0.0, errors[1])),
    )


def _each(rows: Numbers, figure: Callable[[Numbers], np.floating[Any] | float]) -> Numbers:
    """`figure` of what is there of each metric, zero where nothing is."""
    columns = (column[~np.isnan(column)] for column in rows.T)
    return np.array([float(figure(column)) if len(column) else 0.0 for column in columns])


def _usual(errors: Numbers) -> float:
    """Their usual size; of normal errors both halves are the standard deviation."""
    return float(np.sqrt((errors**2).mean()) + np.quantile(errors, 0.99) / _NORMAL) / 2


def _filled(rows: Numbers) -> Numbers:
    """`rows` with every hole holding the last value before it, or the middle when there is none."""
    last = np.maximum.accumulate(np.where(np.isnan(rows), -1, np.arange(len(rows))[:, None]), axis=0)
    held = np.take_along_axis(rows, np.maximum(last, 0), axis=0)
    return np.where(last < 0, 0.0, held)


def _forecasts(past: Numbers, rows: Numbers, missing: NDArray[np.bool_]) -> Numbers:
    """For each metric the weights of its last rows, by ridge regression; one that never moved stays as it was."""
    weights = np.zeros((LAGS, rows.shape[1]))
    weights[-1] = 1.0
    for metric in range(rows.shape[1]):
        there = ~missing[:, metric]
        seen, value = past[there, metric], rows[there, metric]
        if value.any():
            weights[:, metric] = np.linalg.solve(seen.T @ seen + _RIDGE * len(seen) * np.eye(LAGS), seen.T @ value)
    return weights


def _kin(jumps: Numbers) -> Numbers:
    """How alike the jumps of two metrics are, 0 to 1."""
    centred = jumps - jumps.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    direction = np.where(length > 0, centred / np.where(length > 0, length, 1.0), 0.0)
    alike: Numbers = np.abs(direction.T @ direction)
    return np.minimum(alike, 1.0)


def _plain(value: Numbers | float) -> JsonValue:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _arrays(value: JsonValue) -> Any:
    return np.array(value, dtype=float) if isinstance(value, list) else value
