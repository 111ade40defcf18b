"""How many signals of a kind came in a minute, or five, and what their values came to."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from domain.watch import Arrival, Sum

if TYPE_CHECKING:
    from datetime import datetime

Subject = Callable[[Arrival], str]


def sums(arrivals: Iterable[Arrival], minutes: int, subject: Subject) -> tuple[Sum, ...]:
    """By kind, by what `subject` calls each, and by the minutes in which it was received."""
    known: dict[tuple[str, str, datetime], Sum] = {}
    for each in arrivals:
        received = each.received_at
        at = received.replace(minute=received.minute - received.minute % minutes, second=0, microsecond=0)
        key = (each.kind, subject(each), at)
        known[key] = _with(known.get(key) or Sum(kind=key[0], subject=key[1], at=at, count=0), each.value)
    return tuple(known.values())


def _with(known: Sum, value: float | None) -> Sum:
    if value is None:
        return known.model_copy(update={"count": known.count + 1})
    return known.model_copy(
        update={
            "count": known.count + 1,
            "total": (known.total or 0.0) + value,
            "lowest": value if known.lowest is None else min(known.lowest, value),
            "highest": value if known.highest is None else max(known.highest, value),
        }
    )
