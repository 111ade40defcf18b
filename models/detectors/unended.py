"""Runs that never end: begun, not ended, and longer under way than runs usually are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import Field, JsonValue

from domain.base import Instant, Value
from models.detectors.contract import Finding
from models.detectors.duration import Duration
from models.detectors.scores import number


class _State(Value):
    begun: Instant | None = Field(description="when the run began that is under way; None while there is none")
    duration: dict[str, JsonValue]


class Unended:
    """Scores how much longer than usual a run is under way, as `Duration` does.

    A row is 1 when a run begins, 0 when it ends, and None when it is only asked about. A run that ends is scored too, and
    learnt; one that another run follows before it ended never did, and is not learnt. An end without a beginning is no end.
    """

    def __init__(self) -> None:
        self._begun: datetime | None = None
        self._duration = Duration()

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        (value,) = row
        mark = number(value)
        if self._begun is None:
            finding = Finding(score=0)
        else:
            seconds = max(0.0, (at - self._begun).total_seconds())
            finding = self._duration.observe(at, (seconds,) if mark == 0 else (None, seconds))
        if mark is not None:
            self._begun = at if mark else None
        return finding

    def state(self) -> dict[str, JsonValue]:
        return _State(begun=self._begun, duration=self._duration.state()).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._begun, detector._duration = known.begun, Duration.restored(known.duration)
        return detector
