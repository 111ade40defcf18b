"""How a distance compares with the largest known."""

import math
from typing import Self

from domain.base import Value

_LEAST_KEPT, _SHARE_KEPT, _MOST_KEPT = 1_500, 0.5, 10_000
_PLACES = 2
BOUNDLESS = 1e6


class Contender(Value):
    """A distance that may yet be one of the two largest, its place, and how many of the later ones are as large."""

    place: int
    distance: float
    beaten: int


class Standing(Value):
    """What a `Record` remembers."""

    seen: int
    contenders: tuple[Contender, ...]


class Record:
    """The ratio of a distance to the record: the geometric mean of the two largest among the last ones known.

    It asks nothing of how distances are spread. Of two, a single freak does not set the record alone. It reaches back over
    half of what was seen, at least 1,500 distances and at most 10,000: the longer a series is known, the rarer its news.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._seen = 0
        self._contenders: list[tuple[int, float, int]] = []

    def ratio(self, distance: float) -> float:
        """How many records `distance` makes up, 0 until `least` distances are known. Learns it."""
        oldest = self._seen - min(_MOST_KEPT, max(_LEAST_KEPT, _SHARE_KEPT * self._seen))
        record = self._record(oldest) if self._seen >= self._least and distance > 0 else math.inf
        self._learn(distance, oldest)
        return min(distance / record, BOUNDLESS) if record > 0 else BOUNDLESS

    def remembered(self) -> Standing:
        return Standing(
            seen=self._seen,
            contenders=tuple(Contender(place=at, distance=size, beaten=by) for at, size, by in self._contenders),
        )

    @classmethod
    def restored(cls, least: int, standing: Standing) -> Self:
        record = cls(least)
        record._seen = standing.seen
        record._contenders = [(each.place, each.distance, each.beaten) for each in standing.contenders]
        return record

    def _record(self, oldest: float) -> float:
        sizes = sorted(size for at, size, _ in self._contenders if at >= oldest)
        return math.sqrt(sizes[-1]) * math.sqrt(sizes[-_PLACES])

    def _learn(self, distance: float, oldest: float) -> None:
        kept = [
            (at, size, by + (size <= distance))
            for at, size, by in self._contenders
            if at >= oldest and by + (size <= distance) < _PLACES
        ]
        self._contenders = [*kept, (self._seen, distance, 0)]
        self._seen += 1
