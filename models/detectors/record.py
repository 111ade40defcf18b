"""How a distance compares with the largest one known."""

from typing import Self

from models.detectors.recent import Candidates, Peak

_KEPT = 1_500
_BOUNDLESS = 1e6


class Record:
    """The ratio of a distance to the largest of the last 1,500, whatever their distribution: above 1 is a record."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._peak = Peak(_KEPT)

    def ratio(self, distance: float) -> float:
        """The ratio, 0 until `least` distances are known. Learns the distance."""
        largest, known = self._peak.largest(), self._peak.seen >= self._least
        self._peak.add(distance)
        if not known or distance == 0:
            return 0.0
        return min(distance / largest, _BOUNDLESS) if largest > 0 else _BOUNDLESS

    def remembered(self) -> Candidates:
        return self._peak.candidates()

    @classmethod
    def restored(cls, least: int, candidates: Candidates) -> Self:
        record = cls(least)
        record._peak = Peak.restored(_KEPT, candidates)
        return record
