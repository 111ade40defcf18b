"""How many signals of a kind came in a minute, or five, and what their values came to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.watch import Arrival, Sum

if TYPE_CHECKING:
    from datetime import datetime

MINUTES = (1, 5)


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
    """Of arrivals and what each is added up under: by kind, subject and the one or five minutes it was received in."""
    known: dict[tuple[int, str, str, datetime], _Total] = {}
    for each, subject in arrivals:
        minute = each.received_at.replace(second=0, microsecond=0)
        for minutes in MINUTES:
            at = minute.replace(minute=minute.minute - minute.minute % minutes)
            known.setdefault((minutes, each.kind, subject, at), _Total()).add(each.value, each.count)
    return {
        minutes: tuple(
            Sum(kind=kind, subject=subject, at=at, count=sum_.count, total=sum_.total, lowest=sum_.lowest, highest=sum_.highest)
            for (of, kind, subject, at), sum_ in known.items()
            if of == minutes
        )
        for minutes in MINUTES
    }
