"""The mix of log templates: which of them come more or less often among the lines than they usually do.

The deviance of a G-test (Wilks 1938), template by template, against the usual mix; each in units of its own usual deviance
(quasi-Poisson: Wedderburn 1974), so a template that comes in clumps does not speak over all others. The mix is drawn to that of
half a line of each template, and half a line is what a new one is expected to bring.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.band import Band
from models.detectors.contract import Finding
from models.detectors.scores import amount, shown, squashed

MOST = 2_000
BLAMED = 3
_KEPT = 1 - 1 / 200
_KEPT_SHIFTS = 500
_MOST_LINES = 1e12
_HALF = 0.5
_UNTRIED = 4.0
_AT_MOST = 2.0
_NO_MATTER = math.log(2)
_TELLS = 0.2
_TELLING = 0.5


class Line(Value):
    """What is remembered of one template: how many lines and intervals, and how far those were from the usual, discounted."""

    number: int
    lines: float
    intervals: float
    deviance: float


class _State(Value):
    usual: tuple[Line, ...]
    intervals: float
    sums: tuple[float, ...]
    peaks: tuple[float, ...]


@dataclass
class _Usual:
    lines: float = 0.0
    intervals: float = 0.0
    deviance: float = 0.0

    def dispersion(self) -> float:
        """The usual deviance, at least the 1 of a Poisson, to which it is drawn while little is known."""
        return max(1.0, (_UNTRIED + self.deviance) / (_UNTRIED + self.intervals))


@dataclass
class _Shift:
    """How far one template is from its usual share, and what of it was expected."""

    number: int
    came: float
    expected: float
    deviance: float
    weighed: float
    is_new: bool

    def reason(self) -> str:
        if self.is_new:
            return f"template {self.number} is new and came {shown(self.came)} times"
        return f"template {self.number} came {shown(self.came)} times, usually {shown(self.expected)} of so many lines"


class Mixture:
    """Scores how far the mix of the latest interval is from the usual one, against how far it usually is: a margin is .5.

    Either all templates together or the one that shifted most, whichever is odder. A row is the lines of each template by its
    number, without those that did not come; None for an interval of which nothing is known. More or fewer lines of the same
    mix are usual. `metrics` are the numbers of the templates to blame. It knows at most 2,000 templates: the rarest make room.
    """

    def __init__(self) -> None:
        self._usual: dict[int, _Usual] = {}
        self._intervals = 0.0
        self._sums, self._peaks = Band(_KEPT_SHIFTS), Band(_KEPT_SHIFTS)

    def observe(self, at: datetime, row: Mapping[int, float] | None) -> Finding:
        came = {} if row is None else {number: lines for number, value in row.items() if (lines := _lines(value))}
        if not came:
            return Finding(score=0)
        shifts = sorted(self._compared(came), key=lambda shift: -shift.weighed) if self._usual else []
        score = squashed(self._margins(shifts)) if shifts else 0.0
        self._learn(came, shifts)
        blamed = [shift for shift in shifts[:BLAMED] if score >= _TELLING and shift.weighed >= _TELLS * shifts[0].weighed]
        return Finding(
            score=score,
            reasons=tuple(shift.reason() for shift in blamed),
            metrics=tuple(str(shift.number) for shift in blamed),
        )

    def absorb(self, heir: int, numbers: Iterable[int]) -> None:
        """Count the templates `numbers` as `heir` from now on, which the miner found to be one."""
        for number in numbers:
            gone = self._usual.pop(number, None)
            if gone is not None:
                self._usual.setdefault(heir, _Usual(intervals=gone.intervals)).lines += gone.lines

    def state(self) -> dict[str, JsonValue]:
        usual = tuple(Line(number=number, **vars(each)) for number, each in self._usual.items())
        state = _State(usual=usual, intervals=self._intervals, sums=self._sums.numbers(), peaks=self._peaks.numbers())
        return state.model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._usual = {
            each.number: _Usual(lines=each.lines, intervals=each.intervals, deviance=each.deviance) for each in known.usual
        }
        detector._intervals = known.intervals
        detector._sums, detector._peaks = Band(_KEPT_SHIFTS, known.sums), Band(_KEPT_SHIFTS, known.peaks)
        return detector

    def _margins(self, shifts: Sequence[_Shift]) -> float:
        """How many margins they lie beyond the usual, at least 0; learns how far they went."""
        margins = 0.0
        for band, size in ((self._sums, sum(shift.weighed for shift in shifts)), (self._peaks, shifts[0].weighed)):
            margins = max(margins, band.margins(math.log1p(size), least=_NO_MATTER))
            band.add(math.log1p(size), least=_NO_MATTER)
        return margins

    def _compared(self, came: Mapping[int, float]) -> list[_Shift]:
        """Every template, known or new, against its usual share of so many lines."""
        new = [number for number in came if number not in self._usual]
        known = sum(each.lines for each in self._usual.values()) + _HALF * (len(self._usual) + len(new))
        share = sum(came.values()) / known
        shifts = [_shift(number, each, came.get(number, 0.0), share) for number, each in self._usual.items()]
        return shifts + [_shift(number, None, came[number], share) for number in new]

    def _learn(self, came: Mapping[int, float], shifts: Iterable[_Shift]) -> None:
        """An interval counts as twice as many lines as usual at most."""
        lines = sum(came.values())
        usual = sum(each.lines for each in self._usual.values()) / self._intervals if self._intervals else lines
        weight = min(1.0, _AT_MOST * usual / lines)
        for each in self._usual.values():
            each.lines, each.intervals, each.deviance = each.lines * _KEPT, each.intervals * _KEPT + 1, each.deviance * _KEPT
        for shift in shifts:
            if not shift.is_new:
                self._usual[shift.number].deviance += shift.deviance
        for number, count in came.items():
            self._usual.setdefault(number, _Usual()).lines += count * weight
        self._intervals = self._intervals * _KEPT + 1
        self._make_room()

    def _make_room(self) -> None:
        if len(self._usual) > MOST:
            rarest = sorted(self._usual, key=lambda number: self._usual[number].lines)
            for number in rarest[: len(self._usual) - MOST + MOST // 10]:
                del self._usual[number]


def _lines(value: float) -> int:
    return int(min(amount(value) or 0, _MOST_LINES))


def _shift(number: int, usual: _Usual | None, came: float, share: float) -> _Shift:
    expected = share * (_HALF + (usual.lines if usual else 0.0))
    deviance = max(0.0, 2 * ((came * math.log(came / expected) if came else 0.0) - (came - expected)))
    dispersion = usual.dispersion() if usual else 1.0
    return _Shift(
        number=number,
        came=came,
        expected=expected,
        deviance=deviance,
        weighed=deviance / dispersion,
        is_new=usual is None,
    )
