"""Values where none of the latest lie near, be it far outside or between two levels: by a kernel estimate of their density."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
from pydantic import JsonValue

from domain.base import Value
from models.detectors.band import Band
from models.detectors.contract import Finding
from models.detectors.recent import Recent
from models.detectors.scores import reading, shown, squashed

_KEPT, _FEW = 200, 20
_KEPT_DENSITIES = 1_000
_NEIGHBOURS = 0.1
_RANGE, _NO_MATTER = 0.05, 0.02
_LEAST = 1e-3
_TOO_LITTLE = math.log(10)
_TELLING = 0.5


class _State(Value):
    values: tuple[float, ...]
    densities: tuple[float, ...]


class Kde:
    """Scores a value by how much lower the logarithm of the density is there than where values usually come: a margin is .5.

    The kernel is Cauchy's: its tails are heavy enough that the logarithm still tells far from farther. Its width is that of a
    tenth of the last 200 values where they are half as dense as anywhere (nearest neighbours: Loftsgaarden and Quesenberry
    1965), so two levels far apart do not blur into one; it is at least a fiftieth of the level, and a twentieth of the range.
    Where the density is a tenth of the usual nothing is odd yet.
    """

    def __init__(self) -> None:
        self._values = Recent(_KEPT)
        self._densities = Band(_KEPT_DENSITIES)

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        value = reading(row)
        if value is None:
            return Finding(score=0)
        finding = self._scored(value) if len(self._values) >= _FEW else Finding(score=0)
        self._values.add(value)
        return finding

    def state(self) -> dict[str, JsonValue]:
        return _State(values=self._values.numbers(), densities=self._densities.numbers()).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        detector = cls()
        detector._values, detector._densities = Recent(_KEPT, known.values), Band(_KEPT_DENSITIES, known.densities)
        return detector

    def _scored(self, value: float) -> Finding:
        near = self._near(value)
        density = math.log((near + _LEAST) / len(self._values))
        score = squashed(max(0.0, -self._densities.margins(density, least=_TOO_LITTLE)))
        self._densities.add(density, least=_TOO_LITTLE)
        if score < _TELLING:
            return Finding(score=score)
        usual = math.exp(self._densities.usual()[0]) * len(self._values)
        told = f"{shown(value)} has {shown(round(near, 1))} of {len(self._values)} values near it"
        return Finding(score=score, reasons=(f"{told}, usually at least {shown(round(usual, 1))}",))

    def _near(self, value: float) -> float:
        """How many of the values lie near this one: each counts 1 if equal and half a width away, by the kernel."""
        ordered = np.array(self._values.ordered())
        together = int(_NEIGHBOURS * len(ordered))
        widths = ordered[together:] - ordered[:-together]
        width = self._width(float(np.partition(widths, len(widths) // 2)[len(widths) // 2]))
        with np.errstate(over="ignore"):
            away = (ordered - value) / width
            return float((1.0 / (1.0 + away * away)).sum())

    def _width(self, of_a_tenth: float) -> float:
        low, middle, high = (self._values.quantile(share) for share in (0.05, 0.5, 0.95))
        return max(of_a_tenth, _NO_MATTER * abs(middle), _RANGE * (high - low)) or 1.0
