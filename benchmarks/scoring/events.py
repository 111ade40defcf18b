"""Alarms held against labelled events: an event is found once, a false alarm counts once, however long either lasts."""

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from domain.base import Value


class Tally(Value):
    """How many events were found, and how many alarms were false."""

    found: int = 0
    events: int = 0
    false: int = 0
    alarms: int = 0

    @property
    def precision(self) -> float:
        return (self.alarms - self.false) / self.alarms if self.alarms else 0.0

    @property
    def recall(self) -> float:
        return self.found / self.events if self.events else 0.0

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    @classmethod
    def pooled(cls, tallies: Iterable[Self]) -> Self:
        """All of them as one: a series with many events weighs more."""
        each = list(tallies)
        return cls(**{name: sum(getattr(tally, name) for tally in each) for name in cls.model_fields})


def runs(mask: ArrayLike, *, gap: int) -> list[tuple[int, int]]:
    """First and last row of each run of true rows; runs at most `gap` rows apart are one."""
    rows = np.flatnonzero(np.asarray(mask))
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) > gap)
    firsts, lasts = rows[np.append(0, breaks + 1)], rows[np.append(breaks, len(rows) - 1)]
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def tally(scores: ArrayLike, labels: ArrayLike, *, threshold: float, gap: int, delay: int, start: int = 0) -> Tally:
    """Alarms are scores of at least `threshold`, valid up to `delay` rows after an event; rows before `start` are left out."""
    alarmed: NDArray[np.bool_] = np.asarray(scores)[start:] >= threshold
    events = runs(np.asarray(labels)[start:], gap=gap)
    alarms = runs(alarmed, gap=gap)
    return Tally(
        found=sum(bool(alarmed[first : last + delay + 1].any()) for first, last in events),
        events=len(events),
        false=sum(not _meets(alarm, events, delay) for alarm in alarms),
        alarms=len(alarms),
    )


def _meets(alarm: tuple[int, int], events: Sequence[tuple[int, int]], delay: int) -> bool:
    return any(alarm[0] <= last + delay and alarm[1] >= first for first, last in events)
