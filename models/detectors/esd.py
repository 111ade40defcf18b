"""Outliers of the latest window by the generalised extreme Studentised deviate test.

Rosner 1983, "Percentage points for a generalized ESD many-outlier procedure", Technometrics 25(2). Outliers are taken out one
after another, the most extreme first, so that they cannot hide each other by the spread that they make.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from operator import mul
from typing import Self

from pydantic import JsonValue
from scipy.special import stdtrit

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.recent import Recent
from models.detectors.scores import reading, shown, squashed

_KEPT, _FEW = 200, 20
_SHARE = 0.1
_LEVEL = 0.001
_NO_MATTER = 0.02
_LEFT_IN = 0.99
_TELLING = 0.5


class _State(Value):
    values: tuple[float, ...]


class Esd:
    """Scores a value by its deviate in critical values: .5 is an outlier at the 0.1 % level of the whole window.

    The window is the last 200 values, the latest among them; a tenth may be outliers, and twenty are enough to judge. A
    standard deviation counts as a fiftieth of the mean at least, or a steady series would cry over a hair.
    """

    def __init__(self) -> None:
        self._values = Recent(_KEPT)

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        value = reading(row)
        if value is None:
            return Finding(score=0)
        self._values.add(value)
        if len(self._values) < _FEW:
            return Finding(score=0)
        score = squashed(critical_values(value, self._values.ordered()))
        if score < _TELLING:
            return Finding(score=score)
        low, high = (shown(self._values.quantile(share)) for share in (_SHARE, 1 - _SHARE))
        return Finding(score=score, reasons=(f"{shown(value)} among {len(self._values)} values of mostly {low} to {high}",))

    def state(self) -> dict[str, JsonValue]:
        return _State(values=self._values.numbers()).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        detector = cls()
        detector._values = Recent(_KEPT, _State.model_validate(state).values)
        return detector


def critical_values(value: float, ordered: Sequence[float], *, level: float = _LEVEL) -> float:
    """The deviate of `value`, one of `ordered`, in critical values: above 1 the test at `level` calls it an outlier.

    The test calls the first so many outliers of which the last is beyond its critical value, so a value counts as much as the
    most that came out with it or after it. One that stays in counts less than 1.
    """
    middle = len(ordered) // 2
    away = [each - ordered[middle] for each in ordered]
    left, right = _Side(away[:middle][::-1]), _Side(away[middle:])
    own, most = value - ordered[middle], 0.0
    for critical in _critical(len(ordered), level):
        count, total = left.count + right.count, left.total() + right.total()
        mean = total / count
        variance = (left.squares() + right.squares() - total * mean) / (count - 1)
        spread = max(math.sqrt(max(0.0, variance)), _NO_MATTER * abs(mean + ordered[middle]))
        further = left if mean - left.extreme() > right.extreme() - mean else right
        deviate = abs(further.extreme() - mean) / spread if spread else 0.0
        if most or further.extreme() == own:
            most = max(most, deviate / critical)
        further.count -= 1
    return most or min(_LEFT_IN, abs(own - mean) / spread / critical if spread else 0.0)


class _Side:
    """The numbers on one side of the median, from the inside out: sums of the inner ones, untouched by the outer ones."""

    def __init__(self, numbers: list[float]) -> None:
        self._numbers = numbers
        self._totals = list(accumulate(numbers))
        self._squares: list[float] = list(accumulate(map(mul, numbers, numbers)))
        self.count = len(numbers)

    def extreme(self) -> float:
        return self._numbers[self.count - 1]

    def total(self) -> float:
        return self._totals[self.count - 1]

    def squares(self) -> float:
        return self._squares[self.count - 1]


@lru_cache(maxsize=_KEPT)
def _critical(size: int, level: float) -> tuple[float, ...]:
    """The critical value of each outlier that is taken out of `size` numbers, a tenth of them."""
    values = []
    for taken in range(size // 10):
        left = size - taken
        quantile = float(stdtrit(left - 2, 1 - level / (2 * left)))
        values.append((left - 1) * quantile / math.sqrt((left - 2 + quantile**2) * left))
    return tuple(values)
