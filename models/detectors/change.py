"""Points at which the level or the spread of a series changed for good, found while it runs.

Bayesian online change point detection (Adams and MacKay 2007, arXiv:0710.3742): for each number of rows since the last change,
how likely that is. It rather than a CUSUM, because a CUSUM has to be told the size of the shift and a threshold for each
series, sees no change of spread, and gives no probability.

The model takes rows to be independent and normal, which metrics are not, so it is fed what is: what the row before does not
explain of a row (an autoregression of order one, learnt robustly), as the normal score of its rank among the last thousand.
Ranks ask nothing of how values are spread, a spike is no more than the highest rank, and a wandering series is not a series of
changes.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from scipy.special import gammaln, ndtri

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.recent import Recent
from models.detectors.scores import reading, shown

Numbers = NDArray[np.float64]
_KEPT, _ENOUGH = 1_000, 30
_LONGEST = 250
_RARE = 1 / 10_000
_SETTLED, _NEWS = 4, 40
_CLIPPED, _MEMORY, _MOST_OF_IT = 3.0, 0.998, 0.99
_FARTHEST = 4.0
_GOLDEN = (math.sqrt(5) - 1) / 2
_TELLING = 0.5

_LENGTHS = np.arange(_LONGEST + 1)
_WEIGHT, _SHAPE, _SCALE = 0.1 + _LENGTHS, 1.0 + _LENGTHS / 2, 1.0
_DENSITY = gammaln(_SHAPE + 0.5) - gammaln(_SHAPE) - 0.5 * np.log(2 * np.pi * (_WEIGHT + 1) / _WEIGHT)
"""By how many rows a run is long: what a normal-gamma prior (Murphy 2007) has become, and the constant of its Student's t."""


class _State(Value):
    values: tuple[float, ...]
    errors: tuple[float, ...]
    rows: int
    products: float
    squares: float
    chance: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


class Change:
    """Scores how likely it is that the series changed between 4 and 40 rows ago; what is longer past is no news.

    Rows are taken to be evenly spaced. It speaks from the 65th on.
    """

    def __init__(self) -> None:
        self._values, self._errors = Recent(_KEPT), Recent(_KEPT)
        self._rows = 0
        self._products = self._squares = 0.0
        self._chance = np.zeros(_LONGEST + 1)
        self._chance[-1] = 1.0
        self._mean = np.zeros(_LONGEST + 1)
        self._scale = _SHAPE * _SCALE

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        value = reading(row)
        if value is None:
            return Finding(score=0)
        rank = self._surprise(value)
        self._values.add(value)
        if rank is None:
            return Finding(score=0)
        self._take(rank)
        recent = self._chance[_SETTLED : _NEWS + 1]
        score = min(1.0, float(recent.sum()))
        if score < _TELLING:
            return Finding(score=score)
        return Finding(score=score, reasons=(self._reason(_SETTLED + int(recent.argmax())),))

    def state(self) -> dict[str, JsonValue]:
        state = _State(
            values=self._values.numbers(),
            errors=self._errors.numbers(),
            rows=self._rows,
            products=self._products,
            squares=self._squares,
            chance=tuple(self._chance.tolist()),
            mean=tuple(self._mean.tolist()),
            scale=tuple(self._scale.tolist()),
        )
        return state.model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._values, detector._errors = Recent(_KEPT, known.values), Recent(_KEPT, known.errors)
        detector._rows, detector._products, detector._squares = known.rows, known.products, known.squares
        detector._chance, detector._mean, detector._scale = map(np.array, (known.chance, known.mean, known.scale))
        return detector

    def _surprise(self, value: float) -> float | None:
        """The normal score of what the value before does not explain of this one; None while too little is known."""
        if len(self._values) < _ENOUGH:
            return None
        middle, last = self._values.quantile(0.5), self._values.last()
        error = (value - middle) - self._explained() * (last - middle)
        rank = self._rank(error) if len(self._errors) >= _ENOUGH else None
        self._errors.add(error)
        self._learn(value - middle, last - middle)
        return rank

    def _explained(self) -> float:
        """How much of its distance from the middle a value hands on to the next, 0 to .99."""
        return max(0.0, min(_MOST_OF_IT, self._products / self._squares)) if self._squares > 0 else 0.0

    def _learn(self, away: float, before: float) -> None:
        spread = (self._values.quantile(0.84) - self._values.quantile(0.16)) / 2
        if spread > 0:
            now, last = (max(-_CLIPPED, min(_CLIPPED, each / spread)) for each in (away, before))
            self._products = self._products * _MEMORY + now * last
            self._squares = self._squares * _MEMORY + last * last

    def _rank(self, error: float) -> float:
        """Among equals the place is drawn evenly: by the golden ratio, so that it is the same for the same rows."""
        self._rows += 1
        below, equal = self._errors.place(error)
        share = (below + (self._rows * _GOLDEN) % 1 * (equal + 1)) / (len(self._errors) + 1)
        return max(-_FARTHEST, min(_FARTHEST, float(ndtri(share))))

    def _take(self, number: float) -> None:
        """Move on by one row. The longest run stands for all that are longer; it forgets as fast as it learns."""
        away = number - self._mean
        strain = away * away * _WEIGHT / (2 * (_WEIGHT + 1))
        fit = _DENSITY - 0.5 * np.log(self._scale) - (_SHAPE + 0.5) * np.log1p(strain / self._scale)
        chance = self._chance * np.exp(fit - fit.max())
        chance *= (1 - _RARE) / chance.sum()
        mean, scale = self._mean + away / (_WEIGHT + 1), self._scale + strain
        self._chance = np.concatenate(([_RARE], chance[:-1]))
        self._chance[-1] += chance[-1]
        scale[-1] *= _SHAPE[-1] / (_SHAPE[-1] + 0.5)
        self._mean = np.concatenate(([0.0], mean[:-2], mean[-1:]))
        self._scale = np.concatenate(([_SCALE], scale[:-2], scale[-1:]))

    def _reason(self, rows: int) -> str:
        values = self._values.numbers()
        after, before = Recent(rows, values[-rows:]), Recent(_KEPT, values[:-rows])
        low, high, was_low, was_high = (shown(each.quantile(share)) for each in (after, before) for share in (0.1, 0.9))
        return f"the last {rows} values are mostly {low} to {high}, those before {was_low} to {was_high}"
