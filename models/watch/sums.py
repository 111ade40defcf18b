"""How many signals of a kind came in a minute, or five, and what their values came to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.signal import Timing
from domain.watch import Arrival, Sum

MINUTES = (1, 5)
OLDEST = timedelta(days=7)
"""Nothing is added to a time before that."""


@dataclass
class _Total:
    count: int = 0
    total: float | None = None
    lowest: float | None = None
    highest: float | None = None

    def add(self, value: float | None, count: int) -> None:
        self.count += count
        if value is not None:
            self.total = value if self.total is None else self.total + value
            self.lowest = value if self.lowest is None else min(self.lowest, value)
            self.highest = value if self.highest is None else max(self.highest, value)


def sums(arrivals: Iterable[tuple[Arrival, str]]) -> dict[int, tuple[Sum, ...]]:
    """Of arrivals and what each is added up under: by kind, subject and the one or five minutes that it belongs to."""
    known: dict[tuple[int, str, str, datetime], _Total] = {}
    for each, subject in arrivals:
        if (of := _time(each)) is None:
            continue
        minute = of.replace(second=0, microsecond=0)
        for minutes in MINUTES:
            at = minute.replace(minute=minute.minute - minute.minute % minutes)
            known.setdefault((minutes, each.kind, subject, at), _Total()).add(each.value, each.count)
    return {
        minutes: tuple(
            Sum(kind=kind, subject=subject, at=at, count=sum_.count, total=sum_.total, lowest=sum_.lowest, highest=sum_.highest)
            for (length, kind, subject, at), sum_ in known.items()
            if length == minutes
        )
        for minutes in MINUTES
    }


def _time(arrival: Arrival) -> datetime | None:
    """When it was received if it is of now, else its own time; None for what nobody can count: the future, and long ago."""
    match arrival.timing:
        case Timing.PRESENT:
            return arrival.received_at
        case Timing.LATE if arrival.received_at - arrival.ts <= OLDEST:
            return arrival.ts
        case _:
            return None
