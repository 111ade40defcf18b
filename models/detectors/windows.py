"""One series in windows of five minutes, half an hour and six hours: a short spike and a slow drift are both seen."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import JsonValue

from domain.base import Value
from models.detectors.band import Band
from models.detectors.contract import Finding
from models.detectors.scores import lasting, reading, shown, squashed

LENGTHS = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=6))
_TENTHS = 10
_LATER, _ENOUGH = 5 * _TENTHS, 10 * _TENTHS
_HALF = 0.5
_KEPT = 1_000
_NO_MATTER = 0.1
_TELLING = 0.5


class Means(Value):
    """What a `Window` remembers: its tenths as place since the epoch, count and sum, the running one last."""

    began: int | None
    tenths: tuple[tuple[int, int, float], ...]
    usual_count: float
    waiting: tuple[float, ...]
    means: tuple[float, ...]


class _State(Value):
    windows: tuple[Means, ...]


class Windows:
    """Scores the mean of each window against what such means usually are: a margin is .5; the oddest window speaks.

    Each tenth of a window, or each value where they come more seldom, its mean is remembered, a thousand times: over eight
    hours, two days and twenty-five days. It is learnt fifty means later, so that a drift is held against what was before it.
    A window is judged once a hundred means are learnt, after eighty minutes, eight hours and four days, and while it holds at
    least half as many values as usual. A tenth of the usual mean never matters.
    """

    def __init__(self) -> None:
        self._windows = tuple(_Window(length) for length in LENGTHS)

    def observe(self, at: datetime, row: Sequence[float | None]) -> Finding:
        value = reading(row)
        if value is None:
            return Finding(score=0)
        seconds = at.timestamp()
        margins, window = max(((each.margins(seconds, value), each) for each in self._windows), key=lambda pair: pair[0])
        score = squashed(margins)
        return Finding(score=score, reasons=(window.reason(),) if score >= _TELLING else ())

    def state(self) -> dict[str, JsonValue]:
        return _State(windows=tuple(each.remembered() for each in self._windows)).model_dump(mode="json")

    @classmethod
    def restored(cls, state: dict[str, JsonValue]) -> Self:
        known = _State.model_validate(state).windows
        detector = cls()
        detector._windows = tuple(_Window.restored(length, means) for length, means in zip(LENGTHS, known, strict=True))
        return detector


class _Window:
    """The mean of the last `length` of time, in tenths, and what it was at the end of each earlier tenth."""

    def __init__(self, length: timedelta) -> None:
        self._seconds = length.total_seconds()
        self._began: int | None = None
        self._tenths: deque[tuple[int, int, float]] = deque()
        self._usual_count = 0.0
        self._waiting: deque[float] = deque()
        self._means = Band(_KEPT)

    def margins(self, at: float, value: float) -> float:
        """How many margins the mean lies from the usual, with `value` in it; 0 while that cannot be judged."""
        place = int(at // (self._seconds / _TENTHS))
        self._began = place if self._began is None else self._began
        if not self._tenths or place > self._tenths[-1][0]:
            self._turn_to(place)
        place, count, total = self._tenths[-1]
        self._tenths[-1] = (place, count + 1, total + value)
        if len(self._means) < _ENOUGH or self._count() < _HALF * self._usual_count:
            return 0.0
        return abs(self._means.margins(self._mean(), least=self._too_little()))

    def reason(self) -> str:
        low, high = self._means.usual()
        return f"the mean of the last {lasting(self._seconds)} is {shown(self._mean())}, usually {shown(low)} to {shown(high)}"

    def remembered(self) -> Means:
        return Means(
            began=self._began,
            tenths=tuple(self._tenths),
            usual_count=self._usual_count,
            waiting=tuple(self._waiting),
            means=self._means.numbers(),
        )

    @classmethod
    def restored(cls, length: timedelta, means: Means) -> Self:
        window = cls(length)
        window._began, window._tenths, window._usual_count = means.began, deque(means.tenths), means.usual_count
        window._waiting, window._means = deque(means.waiting), Band(_KEPT, means.means)
        return window

    def _turn_to(self, place: int) -> None:
        """Remember how the window ended that was, and begin a tenth."""
        if self._tenths and self._is_full():
            self._waiting.append(self._mean())
            self._usual_count += (self._count() - self._usual_count) / min(_TENTHS, len(self._waiting))
        if len(self._waiting) > _LATER:
            self._means.add(self._waiting.popleft(), least=self._too_little())
        self._tenths.append((place, 0, 0.0))
        while self._tenths[0][0] <= place - _TENTHS:
            self._tenths.popleft()

    def _is_full(self) -> bool:
        return self._began is not None and self._tenths[-1][0] - self._began >= _TENTHS

    def _count(self) -> int:
        return sum(count for _, count, _ in self._tenths)

    def _mean(self) -> float:
        return sum(total for _, _, total in self._tenths) / self._count()

    def _too_little(self) -> float:
        return _NO_MATTER * abs(self._means.middle()) if len(self._means) else 0.0
