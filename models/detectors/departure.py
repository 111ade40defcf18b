"""Fresh departures of one series from its past, in any of several views; what goes on after the first is no news."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.recent import Candidates, Peak
from models.detectors.record import BOUNDLESS
from models.detectors.scores import reading, shown, squashed
from models.detectors.views import Averages, Hour, Hours, Level, Movement, Movements, Step, Steps

_SHORT, _LONG = 10, 50
_NEWS = 0.05
_LEAST_ROWS, _MOST_ROWS = 10, 1_500
_TELLING = 0.5


class _State(Value):
    spike: Steps
    shift: Steps
    hour: Hours
    level: Averages
    movement: Movements
    told: Candidates


class Departure:
    """Scores a row by how far it exceeds the record of the view that it strikes most: .5 equals it,
    .545 is a fifth beyond, .67 twice it.

    A row scores only when it is the most striking of a twentieth of all rows so far: the longer a series is known, the
    longer one departure stays the same news.
    """

    def __init__(self) -> None:
        self._spike, self._shift = Step(_SHORT), Step(_LONG)
        self._hour, self._level, self._movement = Hour(), Level(), Movement()
        self._told = Peak(_MOST_ROWS)

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        value = reading(row)
        if value is None:
            return Finding(score=0)
        views = (self._spike, self._shift, self._hour, self._level, self._movement)
        ratio, view = max(((view.ratio(at, value), view) for view in views), key=lambda pair: pair[0])
        before = self._told.largest_of(max(_LEAST_ROWS, _NEWS * self._told.seen))
        self._told.add(ratio)
        if ratio <= before:
            return Finding(score=0)
        score = squashed(ratio)
        if score < _TELLING:
            return Finding(score=score)
        return Finding(score=score, reasons=(f"{view.reason(value)}, {_times_the_record(ratio)}",))

    def state(self) -> dict[str, JsonValue]:
        state = _State(
            spike=self._spike.remembered(),
            shift=self._shift.remembered(),
            hour=self._hour.remembered(),
            level=self._level.remembered(),
            movement=self._movement.remembered(),
            told=self._told.candidates(),
        )
        return state.model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._spike, detector._shift = Step.restored(_SHORT, known.spike), Step.restored(_LONG, known.shift)
        detector._hour = Hour.restored(known.hour)
        detector._level, detector._movement = Level.restored(known.level), Movement.restored(known.movement)
        detector._told = Peak.restored(_MOST_ROWS, known.told)
        return detector


def _times_the_record(ratio: float) -> str:
    return "the first of its kind" if ratio >= BOUNDLESS else f"{shown(ratio)} times the record distance"
