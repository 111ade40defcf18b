"""The band that the numbers of a series usually keep within, and how far beyond it another one lies."""

import math

from models.detectors.recent import Recent

_MOST = 0.95
_FREAKS = 1.5
_TIMES = 3.0
_FEW = 8


class Band:
    """A number lies so many margins above the median, or below it when negative, each side with a margin of its own.

    A margin is three times the way from the median to what 19 of 20 numbers keep within: of normal numbers that is five
    standard deviations, of numbers with heavy tails one in a thousand or so exceeds it. It is at least what the caller calls
    too little to matter, and twice as wide while only eight are known. The most extreme number does not count, and one beyond
    a margin is learnt as one margin, so that a freak does not hide the next.
    """

    def __init__(self, size: int, numbers: tuple[float, ...] = ()) -> None:
        self._size = size
        self._recent = Recent(size, numbers)

    def margins(self, number: float, *, least: float) -> float:
        """How many margins `number` lies above the middle; 0 while fewer than eight are known."""
        if len(self._recent) < _FEW:
            return 0.0
        away = number - self.middle()
        margin = self._margin(least, above=away >= 0)
        return away / margin if margin > 0 else math.copysign(math.inf, away) if away else 0.0

    def add(self, number: float, *, least: float) -> None:
        if len(self._recent) >= _FEW:
            middle = self.middle()
            number = max(middle - self._margin(least, above=False), min(middle + self._margin(least, above=True), number))
        self._recent.add(number)

    def middle(self) -> float:
        """The median; there must be one number at least."""
        return self._recent.quantile(0.5)

    def usual(self) -> tuple[float, float]:
        """What all but the extreme twentieth of each side keep within; there must be one number at least."""
        share = self._share()
        return self._recent.quantile(1 - share), self._recent.quantile(share)

    def numbers(self) -> tuple[float, ...]:
        """All that it knows: enough to build an equal one."""
        return self._recent.numbers()

    def __len__(self) -> int:
        return len(self._recent)

    def _margin(self, least: float, *, above: bool) -> float:
        middle, share = self.middle(), self._share()
        spread = self._recent.quantile(share) - middle if above else middle - self._recent.quantile(1 - share)
        return max(least, _TIMES * (1 + _FEW / len(self._recent)) * spread)

    def _share(self) -> float:
        return max(0.5, min(_MOST, 1 - _FREAKS / len(self._recent)))
