"""Event precision, recall and F1: runs of labelled rows are found or missed, runs of alarms are true or false."""

from collections.abc import Sequence
from dataclasses import dataclass

GAP, DELAY = 3, 3
UNSCORED = 0.15

Run = tuple[int, int]


@dataclass(frozen=True)
class Counts:
    """Events and alarms of one series or, added up, of several."""

    found: int = 0
    events: int = 0
    false: int = 0
    alarms: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.found + other.found, self.events + other.events, self.false + other.false, self.alarms + other.alarms
        )

    @property
    def precision(self) -> float:
        return (self.alarms - self.false) / self.alarms if self.alarms else 0.0

    @property
    def recall(self) -> float:
        return self.found / self.events if self.events else 0.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def counts(
    scores: Sequence[float],
    labels: Sequence[bool],
    *,
    threshold: float,
    start: int = 0,
    gap: int = GAP,
    delay: int = DELAY,
) -> Counts:
    """An event is found by an alarm from its first row to `delay` rows after its last; an alarm that finds none is false.

    Rows before `start` are left out; runs at most `gap` rows apart are one.
    """
    events = runs([bool(label) for label in labels[start:]], gap)
    alarms = runs([score >= threshold for score in scores[start:]], gap)
    fired = [row for row, score in enumerate(scores[start:]) if score >= threshold]
    return Counts(
        found=sum(any(first <= row <= last + delay for row in fired) for first, last in events),
        events=len(events),
        false=sum(not any(alarm[0] <= last + delay and alarm[1] >= first for first, last in events) for alarm in alarms),
        alarms=len(alarms),
    )


def runs(marks: Sequence[bool], gap: int = GAP) -> list[Run]:
    """The first and last row of each run of marks; runs at most `gap` rows apart are one."""
    joined: list[Run] = []
    for row in (row for row, mark in enumerate(marks) if mark):
        if joined and row - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], row)
        else:
            joined.append((row, row))
    return joined
