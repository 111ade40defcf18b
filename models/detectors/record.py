"""How a distance compares with the largest known."""

import math
from collections.abc import Iterable

from models.detectors.recent import Recent

_KEPT = 1_500
BOUNDLESS = 1e6


class Record:
    """The ratio of a distance to the record: the geometric mean of the two largest of the last 1,500.

    It asks nothing of how distances are spread. Of two, a single freak does not set the record alone.
    """

    def __init__(self, least: int, distances: Iterable[float] = ()) -> None:
        self._least = least
        self._distances = Recent(_KEPT, distances)

    def ratio(self, distance: float) -> float:
        """How many records `distance` makes up, 0 until `least` distances are known. Learns it."""
        known = len(self._distances) >= self._least
        record = math.sqrt(self._distances.largest(1)) * math.sqrt(self._distances.largest(2)) if known else 0.0
        self._distances.add(distance)
        if not known or distance == 0:
            return 0.0
        return min(distance / record, BOUNDLESS) if record > 0 else BOUNDLESS

    def distances(self) -> tuple[float, ...]:
        """All that it knows: enough to build an equal one."""
        return self._distances.numbers()
