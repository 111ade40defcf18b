"""The robust threshold: a value far from the median of the last thousand."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.margin import Distances, Margin
from models.detectors.recent import Recent
from models.detectors.scores import reading, shown, squashed

_KEPT = 1_000
_TELLING = 0.5


class _State(Value):
    values: tuple[float, ...]
    margin: Distances


class RobustThreshold:
    """Scores how many margins a value lies from the usual level: one margin is .5, two are .67."""

    def __init__(self) -> None:
        self._values = Recent(_KEPT)
        self._margin = Margin()

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        value = reading(row)
        if value is None:
            return Finding(score=0)
        level = self._values.quantile(0.5) if self._values else value
        spread = self._margin.spread()
        score = squashed(self._margin.of(value, level))
        self._values.add(value)
        if score < _TELLING:
            return Finding(score=score)
        return Finding(
            score=score, reasons=(f"{shown(value)} against a usual {shown(level - spread)} to {shown(level + spread)}",)
        )

    def state(self) -> dict[str, JsonValue]:
        return _State(values=self._values.numbers(), margin=self._margin.remembered()).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._values, detector._margin = Recent(_KEPT, known.values), Margin.restored(known.margin)
        return detector
