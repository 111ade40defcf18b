"""The NAB score at one threshold: an alarm inside a window earns the more the earlier, one outside costs a little.

Only the first alarm of a window counts. 100 is every window found at its left edge with no false alarm, 0 is silence.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

FALSE_ALARM = 0.11
_UNSCORED_SHARE, _UNSCORED_MOST = 0.15, 750


class Windows(NamedTuple):
    """A scored series: its times, its scores, and the first and last time of each anomaly."""

    times: Sequence[datetime]
    scores: Sequence[float]
    windows: Sequence[tuple[datetime, datetime]]


@dataclass(frozen=True)
class Tally:
    """What alarms of some series earn, against finding nothing and finding all."""

    earned: float
    nothing: float
    everything: float
    found: int
    false_rows: int

    @property
    def score(self) -> float:
        return 100 * (self.earned - self.nothing) / (self.everything - self.nothing)


def tally(series: Iterable[Windows], threshold: float) -> Tally:
    """What the rows that score at least `threshold` earn over all the series."""
    tallies = [_of_one(each, threshold) for each in series]
    return Tally(
        earned=sum(each.earned for each in tallies),
        nothing=sum(each.nothing for each in tallies),
        everything=sum(each.everything for each in tallies),
        found=sum(each.found for each in tallies),
        false_rows=sum(each.false_rows for each in tallies),
    )


def unscored(rows: int) -> int:
    """How many rows at the start of a series are only learnt from."""
    return math.ceil(min(math.floor(_UNSCORED_SHARE * rows), _UNSCORED_MOST))


def _of_one(series: Windows, threshold: float) -> Tally:
    spans = [(bisect_left(series.times, first), bisect_left(series.times, last)) for first, last in series.windows]
    start = unscored(len(series.times))
    alarms = [row for row in range(start, len(series.times)) if series.scores[row] >= threshold]
    best, false_rows, costs = dict.fromkeys((n for n, span in enumerate(spans) if span[1] >= start), -1.0), 0, 0.0
    for row in alarms:
        number = next((n for n, (first, last) in enumerate(spans) if first <= row <= last), None)
        if number is None:
            false_rows += 1
            costs += _cost(row, spans)
        else:
            best[number] = max(best[number], _gain(row, *spans[number]))
    return Tally(
        earned=sum(best.values()) + costs,
        nothing=-float(len(best)),
        everything=float(len(spans)),
        found=sum(gain > -1 for gain in best.values()),
        false_rows=false_rows,
    )


def _gain(row: int, first: int, last: int) -> float:
    return _fading(-(last - row + 1) / (last - first + 1)) / _fading(-1.0)


def _cost(row: int, spans: Sequence[tuple[int, int]]) -> float:
    """A false alarm soon after a window costs less."""
    before = max((span for span in spans if span[1] < row), default=None)
    if before is None:
        return -FALSE_ALARM
    first, last = before
    return FALSE_ALARM * _fading((row - last) / (last - first))


def _fading(place: float) -> float:
    return -1.0 if place > 3 else 2 / (1 + math.exp(5 * place)) - 1
