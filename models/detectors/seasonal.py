"""The seasonal baseline: a value far from what this hour of the day, and of the week, usually holds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.margin import Distances, Margin
from models.detectors.scores import reading, shown, squashed
from models.detectors.usual import Days, Usual

_GROWN = 14
_TELLING = 0.5


class _State(Value):
    usual: Days
    margin: Distances


class SeasonalBaseline:
    """Scores how many margins a value lies from the nearer of the day's and the week's usual one.

    It learns from the third day on and speaks after two weeks, when it has seen every weekday twice.
    """

    def __init__(self) -> None:
        self._usual = Usual()
        self._margin = Margin()

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        value = reading(row)
        expected = self._usual.values(at)
        if value is None:
            return Finding(score=0)
        self._usual.add(at, value)
        if not expected:
            return Finding(score=0)
        nearest = min(expected, key=lambda each: abs(value - each))
        spread = self._margin.spread()
        margins = self._margin.of(value, nearest)
        score = squashed(margins) if self._usual.days() >= _GROWN else 0.0
        if score < _TELLING:
            return Finding(score=score)
        usual = f"{shown(nearest - spread)} to {shown(nearest + spread)}"
        return Finding(score=score, reasons=(f"{shown(value)} against a usual {usual} at this hour",))

    def state(self) -> dict[str, JsonValue]:
        return _State(usual=self._usual.remembered(), margin=self._margin.remembered()).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._usual, detector._margin = Usual.restored(known.usual), Margin.restored(known.margin)
        return detector
