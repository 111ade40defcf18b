"""How much a thing brings, in rows or bytes: far less or far more than usual, nothing where there is always something."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.band import Band
from models.detectors.contract import Finding
from models.detectors.scores import amount, shown, squashed

_KEPT = 200
_NO_MATTER = math.log(1.25)
_FORGETS = 0.99
_RARE = 0.1
_FEW = 8
_TELLING = 0.5


class _State(Value):
    of: str
    logarithms: tuple[float, ...]
    nothing: float
    something: float


class Volume:
    """Scores the volume of each run or interval by the factor it is away from the usual: a margin is .5, two are .67.

    Volumes are compared as logarithms, so a tenth is as odd as ten times as much; less than a quarter more or less is never
    odd. Nothing at all is a kind of its own and scores by how seldom there was nothing, as does something after nothing but
    nothing. `of` is what is counted, for the reason; a negative volume is missing.
    """

    def __init__(self, of: str = "rows") -> None:
        self._of = of
        self._band = Band(_KEPT)
        self._nothing = self._something = 0.0

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        (value,) = row
        volume = amount(value)
        if volume is None:
            return Finding(score=0)
        logarithm = math.log(volume) if volume else None
        margins = 0.0 if logarithm is None else abs(self._band.margins(logarithm, least=_NO_MATTER))
        ratio = max(self._seldom(volume), margins)
        finding = self._found(volume, squashed(ratio))
        self._learn(logarithm)
        return finding

    def state(self) -> dict[str, JsonValue]:
        state = _State(of=self._of, logarithms=self._band.numbers(), nothing=self._nothing, something=self._something)
        return state.model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls(known.of)
        detector._band = Band(_KEPT, known.logarithms)
        detector._nothing, detector._something = known.nothing, known.something
        return detector

    def _seldom(self, volume: float) -> float:
        """How much rarer than one in ten its kind is, nothing or something."""
        kind, known = (self._something if volume else self._nothing), self._nothing + self._something
        return _RARE * (known + 2) / (kind + 1) if known > _FEW else 0.0

    def _learn(self, logarithm: float | None) -> None:
        self._nothing = self._nothing * _FORGETS + (logarithm is None)
        self._something = self._something * _FORGETS + (logarithm is not None)
        if logarithm is not None:
            self._band.add(logarithm, least=_NO_MATTER)

    def _found(self, volume: float, score: float) -> Finding:
        if score < _TELLING:
            return Finding(score=score)
        told = f"{shown(volume) if volume else 'no'} {self._of}"
        if not len(self._band):
            return Finding(score=score, reasons=(f"{told}, usually none",))
        low, high = self._band.usual()
        return Finding(score=score, reasons=(f"{told}, usually {shown(math.exp(low))} to {shown(math.exp(high))}",))
