"""Which services have sent what no detector can read, and how much of theirs is read at once until it is found."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.watch import Arrival

MOST = 20_000
REMEMBERED = 200
ASIDE_IN_A_ROW = 100
"""Where nothing at all can be read, it is not the signals."""


@dataclass
class _Trouble:
    most: int
    failed: UUID | None = None
    aside: int = 0


class Narrowing:
    """Of one process. A service once in trouble is remembered, so that what it teaches afterwards is kept at once."""

    def __init__(self) -> None:
        self._troubles: OrderedDict[str, _Trouble] = OrderedDict()

    def most(self, service: str) -> int:
        """How many signals are read at once."""
        trouble = self._troubles.get(service)
        return MOST if trouble is None else trouble.most

    def is_troubled(self, service: str) -> bool:
        return service in self._troubles

    def failed(self, service: str, arrivals: Sequence[Arrival], error: Exception) -> Arrival | None:
        """The signal to lay aside: one that could not be read by itself, twice. None: read on, half as much at once.

        Raises `error` itself after so many in a row.
        """
        trouble = self._troubles.setdefault(service, _Trouble(most=MOST))
        if len(self._troubles) > REMEMBERED:
            self._troubles.popitem(last=False)
        trouble.most = max(1, len(arrivals) // 2)
        if len(arrivals) > 1 or arrivals[0].id != trouble.failed:
            trouble.failed = arrivals[0].id if len(arrivals) == 1 else None
            return None
        if trouble.aside >= ASIDE_IN_A_ROW:
            raise error
        trouble.aside += 1
        return arrivals[0]

    def read(self, service: str) -> None:
        """What could be read is read in larger parts again."""
        if (trouble := self._troubles.get(service)) is not None:
            trouble.most, trouble.failed, trouble.aside = min(MOST, 2 * trouble.most), None, 0
