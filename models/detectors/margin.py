"""How far a series may stray from what is usual, learnt from how far it did."""

from typing import Self

from domain.base import Value
from models.detectors.recent import Recent

_KEPT = 1_000
_UNTRIED, _FEW = 30, 5
_SHARE, _TIMES, _OF_VALUE = 0.8, 2.0, 0.35
_CLIPPED = 2.0


class Distances(Value):
    """What a `Margin` remembers."""

    seen: int = 0
    distances: tuple[float, ...] = ()


class Margin:
    """A distance counts in margins: twice what four of five distances keep within, and a third of the value besides.

    The part of the value, or of what is usual if that is less, keeps a steady series from crying over a hair and lets a
    fall to nothing count as much as a rise to many times. Distances of nothing are not learnt, or a series
    that mostly stands still would find every move odd; distances beyond two margins are learnt as two, or a few outliers
    would hide the next.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._distances = Recent(_KEPT)

    def of(self, value: float, usual: float) -> float:
        """How many margins lie between `value` and what is usual; 0 while little is known. Learns the distance."""
        distance = abs(value - usual)
        width = _TIMES * self.spread() + _OF_VALUE * min(abs(value), abs(usual))
        self._seen += 1
        if distance == 0:
            return 0.0
        if self._seen <= _UNTRIED:
            self._distances.add(distance)
            return 0.0
        self._distances.add(min(distance, _CLIPPED * width) if len(self._distances) >= _FEW else distance)
        return distance / width if width > 0 else float("inf")

    def spread(self) -> float:
        """The distance that four of five keep within."""
        return self._distances.quantile(_SHARE) if len(self._distances) >= _FEW else 0.0

    def remembered(self) -> Distances:
        return Distances(seen=self._seen, distances=self._distances.numbers())

    @classmethod
    def restored(cls, distances: Distances) -> Self:
        margin = cls()
        margin._seen, margin._distances = distances.seen, Recent(_KEPT, distances.distances)
        return margin
