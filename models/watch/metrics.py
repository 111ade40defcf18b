"""The metrics of one service, each watched by itself: its values, its level, and what it measures of runs."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, TypeVar

from domain.anomaly import Observation
from domain.watch import Arrival, Learnt
from models.detectors.change import Change
from models.detectors.contract import Detector
from models.detectors.duration import Duration
from models.detectors.outlier import Outlier
from models.detectors.volume import Volume
from models.watch.subjects import LONGEST, SILENT, State, Subjects, observed

D = TypeVar("D", bound=Detector)
DETECTOR, CHANGE, DURATION, VOLUME = "outlier", "change", "duration", "volume"
ODD = 0.66
"""Of single values; the others speak from where they find something."""

TOLD = 0.5
MOST = 200
"""So many are watched, those last seen; the others are only added up, all as one."""

MOST_LEVELS, MOST_RUNS = 20, 20
OTHERS = "(others)"
MINUTE = timedelta(minutes=1)
_TIMES = re.compile(r"(?:^|[._])(?:duration|execution_time|elapsed|took)_?(s|seconds|ms|milliseconds)?$")
"""What a run took, in seconds unless it says otherwise."""

_VOLUMES = re.compile(r"(?:^|[._])(?:data_volume\w*|\w*rows|\w*records)(?:_total|_count|_processed|_written|_read)?$")


@dataclass
class _Mean:
    minute: datetime
    count: int = 0
    total: float = 0.0


class _Measured(NamedTuple):
    is_time: bool
    unit: float


class Metrics:
    """A level is that of minutes: a change for good is one of many values, and a minute's mean is worth one look at it."""

    def __init__(self) -> None:
        self._values = Subjects(DETECTOR, Outlier, most=MOST)
        self._levels = Subjects(CHANGE, Change, most=MOST_LEVELS)
        self._times = Subjects(DURATION, Duration, most=MOST_RUNS)
        self._volumes = Subjects(VOLUME, Volume, most=MOST_RUNS)
        self._means: dict[str, _Mean] = {}

    def restore(self, state: State, at: datetime) -> None:
        """Go on from what was learnt before."""
        self._values.restore(state, at)
        self._levels.restore(state, at)
        self._times.restore(state, at)
        self._volumes.restore(state, at)

    def take(self, arrival: Arrival, seen: list[Observation], *, judged: bool) -> str:
        """What the value is added up under; what detectors say of it goes to `seen`."""
        subject = named(arrival)
        if judged and arrival.value is not None:
            self._judge(subject, arrival, arrival.value, seen)
        return subject if subject in self._values else OTHERS

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        return [*self._values.unkept(), *self._levels.unkept(), *self._times.unkept(), *self._volumes.unkept()]

    def _judge(self, subject: str, arrival: Arrival, value: float, seen: list[Observation]) -> None:
        at, told_at = min(arrival.ts, arrival.received_at), arrival.received_at
        said = [_said(self._values, DETECTOR, subject, at, value, odd=ODD, told_at=told_at)]
        measured = _measured(arrival.key)
        if measured is not None and measured.is_time:
            said.append(_said(self._times, DURATION, subject, at, value * measured.unit, odd=TOLD, told_at=told_at))
        elif measured is not None:
            said.append(_said(self._volumes, VOLUME, subject, at, value, odd=TOLD, told_at=told_at))
        if (mean := self._mean(subject, at, value)) is not None:
            level = mean.total / mean.count
            said.append(_said(self._levels, CHANGE, subject, mean.minute, level, odd=TOLD, told_at=told_at))
        seen.extend(each for each in said if each is not None)

    def _mean(self, subject: str, at: datetime, value: float) -> _Mean | None:
        """Add the value to its minute; the minute before, when this begins another."""
        minute = at.replace(second=0, microsecond=0)
        known = self._means.get(subject)
        if known is None and len(self._means) >= MOST_LEVELS:
            oldest = min(self._means, key=lambda each: self._means[each].minute)
            if minute - self._means[oldest].minute < SILENT:
                return None
            del self._means[oldest]
        ended = known if known is not None and minute > known.minute else None
        if known is None or ended is not None:
            known = self._means[subject] = _Mean(minute)
        known.count, known.total = known.count + 1, known.total + value
        return ended


def _said(
    subjects: Subjects[D], name: str, subject: str, at: datetime, value: float, *, odd: float, told_at: datetime
) -> Observation | None:
    """What the subject's detector says of the value, told at that time; None when the subject is one too many."""
    if (heard := subjects.heard(subject, at)) is None:
        return None
    detector, at = heard
    return observed(name, subject, detector.observe(at, [value]), told_at, odd=odd, evidence={"value": value})


@lru_cache(maxsize=10_000)
def _measured(key: str) -> _Measured | None:
    """What a metric of that name measures of runs; None when it measures something else."""
    if (takes := _TIMES.search(key)) is not None:
        return _Measured(is_time=True, unit=0.001 if (takes[1] or "s").startswith("m") else 1.0)
    return _Measured(is_time=False, unit=1.0) if _VOLUMES.search(key) is not None else None


def named(arrival: Arrival) -> str:
    """The metric's name, with the labels that tell it from its like."""
    labels = ",".join(f"{name}={value}" for name, value in sorted(arrival.labels.items()))
    return (f"{arrival.key}{{{labels}}}" if labels else arrival.key)[:LONGEST]
