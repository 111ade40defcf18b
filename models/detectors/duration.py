"""How long runs take: far longer or shorter than usual, also while one is still going on."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.band import Band
from models.detectors.contract import Finding
from models.detectors.scores import amount, lasting, squashed

_KEPT = 200
_NO_MATTER = math.log(1.5)
_TELLING = 0.5


class _State(Value):
    logarithms: tuple[float, ...]


class Duration:
    """Scores a duration in seconds by the factor it is away from the usual: a margin is .5, two are .67.

    A row is `(ended,)` or `(ended, going)`: what a run took that ended, and for how long one has been going on; either may be
    missing. A run that goes on is censored: it can be longer than usual but never shorter, and it is not learnt. Durations are
    compared as logarithms of a second more, so below a second all are alike; less than half as much again is never odd.
    """

    def __init__(self) -> None:
        self._band = Band(_KEPT)

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        if not 1 <= len(row) <= 2:
            raise ValueError(f"expected the seconds of a run that ended, and of one that goes on, got {len(row)} values")
        ended, going = amount(row[0]), amount(row[1]) if len(row) == 2 else None
        finding = max(self._of_ended(ended), self._of_going(going), key=lambda each: each.score)
        if ended is not None:
            self._band.add(math.log1p(ended), least=_NO_MATTER)
        return finding

    def state(self) -> dict[str, JsonValue]:
        return _State(logarithms=self._band.numbers()).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        detector = cls()
        detector._band = Band(_KEPT, _State.model_validate(state).logarithms)
        return detector

    def _of_ended(self, seconds: float | None) -> Finding:
        if seconds is None:
            return Finding(score=0)
        return self._found(abs(self._margins(seconds)), f"took {lasting(seconds)}")

    def _of_going(self, seconds: float | None) -> Finding:
        if seconds is None:
            return Finding(score=0)
        return self._found(max(0.0, self._margins(seconds)), f"still going after {lasting(seconds)}")

    def _margins(self, seconds: float) -> float:
        return self._band.margins(math.log1p(seconds), least=_NO_MATTER)

    def _found(self, ratio: float, told: str) -> Finding:
        score = squashed(ratio)
        if score < _TELLING:
            return Finding(score=score)
        low, high = (lasting(math.expm1(each)) for each in self._band.usual())
        return Finding(score=score, reasons=(f"{told}, usually {low} to {high}",))
