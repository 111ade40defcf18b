"""Fresh departures of one series from its past, in any of several views; what goes on after the first is no news."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.recent import Candidates, Peak
from models.detectors.scores import reading, squashed
from models.detectors.views import Averages, Hour, Hours, Level, Movement, Movements, Step, Steps

_NEWS = 0.05
_LEAST_ROWS, _MOST_ROWS = 10, 1_500
_TELLING = 0.5


class _State(Value):
    step: Steps
    hour: Hours
    level: Averages
    movement: Movements
    told: Candidates


class Departure:
    """Scores a row by how far it exceeds the record of the view that it strikes most: .5 equals it, .67 is twice it.

    A row scores only when it is the most striking of a twentieth of all rows so far: the longer a series is known, the
    longer one departure stays the same news.
    """

    def __init__(self) -> None:
        self._step, self._hour, self._level, self._movement = Step(), Hour(), Level(), Movement()
        self._told = Peak(_MOST_ROWS)

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        value = reading(row)
        if value is None:
            return Finding(score=0)
        views = (self._step, self._hour, self._level, self._movement)
        ratio, view = max(((view.ratio(at, value), view) for view in views), key=lambda pair: pair[0])
        before = self._told.largest_of(max(_LEAST_ROWS, _NEWS * self._told.seen))
        self._told.add(ratio)
        if ratio <= before:
            return Finding(score=0)
        score = squashed(ratio)
        return Finding(score=score, reasons=(view.reason(value),) if score >= _TELLING else ())

    def state(self) -> dict[str, JsonValue]:
        state = _State(
            step=self._step.remembered(),
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
        detector._step, detector._hour = Step.restored(known.step), Hour.restored(known.hour)
        detector._level, detector._movement = Level.restored(known.level), Movement.restored(known.movement)
        detector._told = Peak.restored(_MOST_ROWS, known.told)
        return detector
