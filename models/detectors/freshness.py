"""Data or heartbeats that are late, or do not come at all."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import Field, JsonValue

from domain.base import Instant, Value
from models.detectors.contract import Finding
from models.detectors.recent import Recent
from models.detectors.scores import lasting, number, squashed

_KEPT, _KEPT_OF_A_DAY = 500, 50
_LONG, _FREAKS = 0.99, 1.5
_PIECE = 0.1
_LEAST_FACTOR, _LEAST = 1.25, 1.0
_FEW = 4
_CLIPPED = 3.0
_SELDOM = 6 * 3_600
_TELLING = 0.5


class _State(Value):
    last: Instant | None = Field(description="when it came last")
    gaps: tuple[float, ...]
    of_days: tuple[tuple[float, ...], ...]


class Freshness:
    """Scores the time since the last arrival against the longest that it usually takes: .5 is due, twice as long is .67.

    A row is a number when something came, whatever the number, and None when it is only asked. An arrival that was late is
    scored once more as it comes. What comes a few times a day or more seldom is held against the gaps that began on the same
    weekday: after a Friday it may take until Monday. Until four gaps are known nothing is late.
    """

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._gaps = Recent(_KEPT)
        self._of_days = [Recent(_KEPT_OF_A_DAY) for _ in range(7)]

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        (value,) = row
        came = number(value) is not None
        if self._last is None:
            self._last = at if came else None
            return Finding(score=0)
        gap = max(0.0, (at - self._last).total_seconds())
        gaps = self._like(self._last)
        finding = _found(gap, gaps, came=came)
        if came:
            gap = min(gap, _CLIPPED * _due(gaps)) if len(gaps) >= _FEW else gap
            self._gaps.add(gap)
            self._of_days[self._last.weekday()].add(gap)
            self._last = at
        return finding

    @property
    def last(self) -> datetime | None:
        """When something came last."""
        return self._last

    def due(self) -> datetime | None:
        """When it will be late if nothing comes; None while nobody can say."""
        if self._last is None or len(gaps := self._like(self._last)) < _FEW:
            return None
        return self._last + timedelta(seconds=_due(gaps))

    def state(self) -> dict[str, JsonValue]:
        of_days = tuple(each.numbers() for each in self._of_days)
        return _State(last=self._last, gaps=self._gaps.numbers(), of_days=of_days).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._last, detector._gaps = known.last, Recent(_KEPT, known.gaps)
        detector._of_days = [Recent(_KEPT_OF_A_DAY, each) for each in known.of_days]
        return detector

    def _like(self, last: datetime) -> Recent:
        """The gaps to hold that after `last` against."""
        of_day = self._of_days[last.weekday()]
        return of_day if len(of_day) >= _FEW and self._gaps.quantile(0.5) >= _SELDOM else self._gaps


def _found(gap: float, gaps: Recent, *, came: bool) -> Finding:
    score = squashed(gap / _due(gaps)) if len(gaps) >= _FEW else 0.0
    if score < _TELLING:
        return Finding(score=score)
    told = f"came after {lasting(gap)}" if came else f"nothing for {lasting(gap)}"
    return Finding(score=score, reasons=(f"{told}, usually after at most {lasting(_longest(gaps))}",))


def _longest(gaps: Recent) -> float:
    """The gap that one in a hundred exceeds, or one in all."""
    return gaps.quantile(min(_LONG, 1 - _FREAKS / len(gaps)))


def _due(gaps: Recent) -> float:
    """When nothing has come for so many seconds it is late.

    That is the usual longest gap and a part more: a quarter where gaps are even, and where they are not, the root of how many
    times the usual gap that is. Arrivals at random are late once in 10,000 gaps. Gaps below a tenth of the longest are those
    within one arrival in pieces.
    """
    longest = _longest(gaps)
    pieces = gaps.share_below(_PIECE * longest)
    middle = gaps.quantile((1 + pieces) / 2)
    factor = max(_LEAST_FACTOR, math.sqrt(longest / middle)) if middle > 0 else _LEAST_FACTOR
    return max(_LEAST, longest * factor * (1 + 1 / len(gaps)))
