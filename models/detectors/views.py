"""The ways in which a series can depart from its past; each says how far beyond its own record a row is, and in words."""

from collections import deque
from datetime import datetime
from typing import Self

from domain.base import Value
from models.detectors.recent import Recent
from models.detectors.record import Record, Standing
from models.detectors.scores import shown
from models.detectors.usual import Days, Usual

_FEW, _DAY_OR_SO = 50, 200
_MEANS = 1_000


class Steps(Value):
    """What a `Step` remembers."""

    values: tuple[float, ...]
    up: Standing
    down: Standing


class Step:
    """A value far above or below the median of the last few: spikes, drops, jumps. Each direction has its own record."""

    def __init__(self, length: int) -> None:
        self._values = Recent(length)
        self._up, self._down = Record(_FEW), Record(_FEW)
        self._median = 0.0

    def ratio(self, at: datetime, value: float) -> float:
        self._median = self._values.quantile(0.5) if self._values else value
        self._values.add(value)
        step = value - self._median
        return max(self._up.ratio(max(step, 0.0)), self._down.ratio(max(-step, 0.0)))

    def reason(self, value: float) -> str:
        return f"{shown(value)} after a median of {shown(self._median)} over {len(self._values)} values"

    def remembered(self) -> Steps:
        return Steps(values=self._values.numbers(), up=self._up.remembered(), down=self._down.remembered())

    @classmethod
    def restored(cls, length: int, steps: Steps) -> Self:
        view = cls(length)
        view._values = Recent(length, steps.values)
        view._up, view._down = Record.restored(_FEW, steps.up), Record.restored(_FEW, steps.down)
        return view


class Hours(Value):
    """What an `Hour` remembers."""

    usual: Days
    record: Standing


class Hour:
    """A value far from what this time of the day, and of the week, usually holds; the nearer of both counts."""

    def __init__(self) -> None:
        self._usual = Usual()
        self._record = Record(_DAY_OR_SO)
        self._nearest = 0.0

    def ratio(self, at: datetime, value: float) -> float:
        expected = self._usual.values(at)
        self._usual.add(at, value)
        if not expected:
            return 0.0
        self._nearest = min(expected, key=lambda each: abs(value - each))
        return self._record.ratio(abs(value - self._nearest))

    def reason(self, value: float) -> str:
        return f"{shown(value)} against a usual {shown(self._nearest)} at this hour"

    def remembered(self) -> Hours:
        return Hours(usual=self._usual.remembered(), record=self._record.remembered())

    @classmethod
    def restored(cls, hours: Hours) -> Self:
        view = cls()
        view._usual, view._record = Usual.restored(hours.usual), Record.restored(_DAY_OR_SO, hours.record)
        return view


class Averages(Value):
    """What an `Average` remembers."""

    latest: tuple[float, ...]
    means: tuple[float, ...]
    record: Standing


class Average:
    """A mean of the latest numbers far from what such means usually are: slow changes that no single value shows."""

    def __init__(self, length: int) -> None:
        self.latest: deque[float] = deque(maxlen=length)
        self._means = Recent(_MEANS)
        self._record = Record(_FEW)
        self.mean = self.usual = 0.0

    def ratio(self, number: float) -> float:
        self.latest.append(number)
        self.mean = sum(self.latest) / len(self.latest)
        self.usual = self._means.quantile(0.5) if self._means else self.mean
        self._means.add(self.mean)
        return self._record.ratio(abs(self.mean - self.usual))

    def remembered(self) -> Averages:
        return Averages(latest=tuple(self.latest), means=self._means.numbers(), record=self._record.remembered())

    @classmethod
    def restored(cls, length: int, averages: Averages) -> Self:
        average = cls(length)
        average.latest.extend(averages.latest)
        average._means, average._record = Recent(_MEANS, averages.means), Record.restored(_FEW, averages.record)
        return average


class Level:
    """The mean of the last twelve values."""

    _LENGTH = 12

    def __init__(self) -> None:
        self._average = Average(self._LENGTH)

    def ratio(self, at: datetime, value: float) -> float:
        return self._average.ratio(value)

    def reason(self, value: float) -> str:
        average = self._average
        return f"the last {len(average.latest)} values average {shown(average.mean)}, usually {shown(average.usual)}"

    def remembered(self) -> Averages:
        return self._average.remembered()

    @classmethod
    def restored(cls, averages: Averages) -> Self:
        view = cls()
        view._average = Average.restored(cls._LENGTH, averages)
        return view


class Movements(Value):
    """What a `Movement` remembers."""

    last: float | None
    average: Averages


class Movement:
    """The mean of the last 24 changes, whatever their direction: a series that grows restless or comes in denser bursts."""

    _LENGTH = 24

    def __init__(self) -> None:
        self._last: float | None = None
        self._average = Average(self._LENGTH)

    def ratio(self, at: datetime, value: float) -> float:
        change = 0.0 if self._last is None else abs(value - self._last)
        self._last = value
        return self._average.ratio(change)

    def reason(self, value: float) -> str:
        average = self._average
        return f"the last {len(average.latest)} values move by {shown(average.mean)} each, usually by {shown(average.usual)}"

    def remembered(self) -> Movements:
        return Movements(last=self._last, average=self._average.remembered())

    @classmethod
    def restored(cls, movements: Movements) -> Self:
        view = cls()
        view._last, view._average = movements.last, Average.restored(cls._LENGTH, movements.average)
        return view
