"""What a series usually holds at this time of the day and of the week, learnt from the days before."""

from datetime import datetime
from statistics import median
from typing import Self

from domain.base import Value

_SLOTS = 96
_SLOT = 86_400 // _SLOTS
_KEPT = 29 * _SLOTS
_DAYS, _WEEKS = 7, 4


class Days(Value):
    """What a `Usual` remembers."""

    first: int | None
    slot: int | None
    means: tuple[float | None, ...]
    count: int
    sum: float


class Usual:
    """The usual values of a quarter of an hour: the median of the last seven days, and of this weekday in four weeks.

    An earlier day speaks with the mean of that quarter and its two neighbours, so a job that runs some minutes late is no
    surprise. Nothing of the running day is used. A holiday is one day among seven, which a median does not follow.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._slot: int | None = None
        self._means: list[float | None] = [None] * _KEPT
        self._count, self._sum = 0, 0.0
        self._values: tuple[float, ...] = ()

    def values(self, at: datetime) -> tuple[float, ...]:
        """The usual values at this time; none while fewer than two earlier days are known."""
        self._turned_to(at)
        return self._values

    def add(self, at: datetime, value: float) -> None:
        """Learn what this time holds."""
        slot = self._turned_to(at)
        self._first = slot if self._first is None else self._first
        self._count += 1
        self._sum += value
        self._means[slot % _KEPT] = self._sum / self._count

    def days(self) -> int:
        """Full days since the first value."""
        return 0 if self._first is None or self._slot is None else (self._slot - self._first) // _SLOTS

    def remembered(self) -> Days:
        return Days(first=self._first, slot=self._slot, means=tuple(self._means), count=self._count, sum=self._sum)

    @classmethod
    def restored(cls, days: Days) -> Self:
        usual = cls()
        usual._first, usual._slot, usual._means = days.first, days.slot, list(days.means)
        usual._count, usual._sum = days.count, days.sum
        usual._values = () if days.slot is None else usual._known(days.slot)
        return usual

    def _turned_to(self, at: datetime) -> int:
        """The quarter of an hour that is running; a time that goes back counts as the latest one."""
        slot = int(at.timestamp() // _SLOT)
        if self._slot is not None and slot <= self._slot:
            return self._slot
        before = slot - _KEPT if self._slot is None else self._slot
        for passed in range(max(before + 1, slot - _KEPT + 1), slot + 1):
            self._means[passed % _KEPT] = None
        self._slot, self._count, self._sum = slot, 0, 0.0
        self._values = self._known(slot)
        return slot

    def _known(self, slot: int) -> tuple[float, ...]:
        days = self._earlier(slot, _SLOTS, _DAYS)
        if len(days) < 2:
            return ()
        weeks = self._earlier(slot, 7 * _SLOTS, _WEEKS)
        return (median(days), median(weeks)) if weeks else (median(days),)

    def _earlier(self, slot: int, step: int, times: int) -> list[float]:
        """What each of the earlier days held around this time, of those that held anything."""
        held = []
        for back in range(1, times + 1):
            middle = slot - back * step
            around = [mean for each in (middle - 1, middle, middle + 1) if (mean := self._means[each % _KEPT]) is not None]
            if around:
                held.append(sum(around) / len(around))
        return held
