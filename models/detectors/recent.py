"""The last numbers of a series: in the order of their size, or only their largest."""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Self

from domain.base import Value


class Recent:
    """The last `size` numbers; any quantile of them is at hand."""

    def __init__(self, size: int, numbers: Iterable[float] = ()) -> None:
        self._size = size
        self._arrived = deque(numbers)
        self._ordered = sorted(self._arrived)

    def __len__(self) -> int:
        return len(self._ordered)

    def add(self, number: float) -> None:
        self._arrived.append(number)
        insort(self._ordered, number)
        if len(self._arrived) > self._size:
            del self._ordered[bisect_left(self._ordered, self._arrived.popleft())]

    def quantile(self, share: float) -> float:
        """The number that a `share` of them do not exceed; there must be one at least."""
        return self._ordered[min(len(self._ordered) - 1, int(share * len(self._ordered)))]

    def share_below(self, number: float) -> float:
        """The share of them that is less than `number`; there must be one at least."""
        return bisect_left(self._ordered, number) / len(self._ordered)

    def place(self, number: float) -> tuple[int, int]:
        """How many of them are less than `number`, and how many are equal to it."""
        below = bisect_left(self._ordered, number)
        return below, bisect_right(self._ordered, number, lo=below) - below

    def ordered(self) -> Sequence[float]:
        """All of them in the order of their size."""
        return self._ordered

    def last(self) -> float:
        """The one that came last; there must be one."""
        return self._arrived[-1]

    def numbers(self) -> tuple[float, ...]:
        """All of them as they came: enough to build an equal one."""
        return tuple(self._arrived)


class Candidates(Value):
    """What a `Peak` remembers: how many numbers it saw, and the place and size of those that may yet be the largest."""

    seen: int = 0
    falling: tuple[tuple[int, float], ...] = ()


class Peak:
    """The largest of the last numbers, up to `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.seen = 0
        self._falling: deque[tuple[int, float]] = deque()

    def add(self, number: float) -> None:
        while self._falling and self._falling[-1][1] <= number:
            self._falling.pop()
        self._falling.append((self.seen, number))
        self.seen += 1
        self._forget(self._size)

    def largest(self) -> float:
        """The largest, 0 when there is none."""
        return self._falling[0][1] if self._falling else 0.0

    def largest_of(self, rows: float) -> float:
        """The largest of the last `rows`. What is older is forgotten for good, so ask for ever more rows, never for fewer."""
        self._forget(rows)
        return self.largest()

    def candidates(self) -> Candidates:
        return Candidates(seen=self.seen, falling=tuple(self._falling))

    @classmethod
    def restored(cls, size: int, candidates: Candidates) -> Self:
        peak = cls(size)
        peak.seen, peak._falling = candidates.seen, deque(candidates.falling)
        return peak

    def _forget(self, rows: float) -> None:
        while self._falling and self._falling[0][0] < self.seen - rows:
            self._falling.popleft()
