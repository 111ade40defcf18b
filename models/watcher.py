"""What is usual of one service, learnt from what arrives, and what of it is odd.

Each metric is watched by itself. What a sender tells an hour late, or from the future, is added up and not judged: its
moment is not the present one.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from domain.anomaly import Observation
from domain.base import Value
from domain.watch import Arrival, Learnt, Sum
from models.detectors.outlier import Outlier

OUTLIER = "outlier"
OUTLIER_ODD = 0.66
MOST_SERIES = 200
"""The metrics of one service that are watched, those last seen; the others are only added up, all as one."""
LATE, EARLY = timedelta(hours=1), timedelta(minutes=5)
REST = "(others)"
_SUBJECT = 255
_MINUTES = (1, 5)

State = Mapping[tuple[str, str], Mapping[str, JsonValue]]


class Taken(Value):
    """What came of arrivals: what each detector says of its subjects, and the sums of one and of five minutes."""

    observations: tuple[Observation, ...]
    sums: dict[int, tuple[Sum, ...]]


@dataclass
class _Series:
    detector: Outlier
    seen_at: datetime
    is_kept: bool = True


class Watcher:
    """The detectors of one service. Its memory is bounded, and its state is what they have learnt."""

    def __init__(self) -> None:
        self._series: OrderedDict[str, _Series] = OrderedDict()

    @classmethod
    def restored(cls, state: State, at: datetime) -> "Watcher":
        """With what was learnt before; a detector that is not known any more is learnt anew."""
        watcher = cls()
        for (detector, subject), learnt in state.items():
            if detector == OUTLIER:
                watcher._series[subject] = _Series(Outlier.restored(dict(learnt)), at)
        return watcher

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Learn from them, the oldest first, and say what is odd."""
        observations = [seen for each in arrivals if (seen := self._observe(each)) is not None]
        sums = {minutes: tuple(_sums(arrivals, minutes, self._series)) for minutes in _MINUTES}
        return Taken(observations=tuple(observations), sums=sums)

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        changed = [(subject, each) for subject, each in self._series.items() if not each.is_kept]
        for _, each in changed:
            each.is_kept = True
        return [
            Learnt(detector=OUTLIER, subject=subject, state=each.detector.state(), seen_at=each.seen_at)
            for subject, each in changed
        ]

    def _observe(self, arrival: Arrival) -> Observation | None:
        if arrival.kind != "metric" or arrival.value is None or not -EARLY <= arrival.received_at - arrival.ts <= LATE:
            return None
        subject = subject_of(arrival)
        series = self._series.get(subject) or self._begin(subject, min(arrival.ts, arrival.received_at))
        if series is None:
            return None
        self._series.move_to_end(subject)
        series.seen_at, series.is_kept = max(series.seen_at, min(arrival.ts, arrival.received_at)), False
        found = series.detector.observe(series.seen_at, [arrival.value])
        return Observation(
            detector=OUTLIER,
            subject=subject,
            at=arrival.received_at,
            score=found.score,
            is_odd=found.score >= OUTLIER_ODD,
            reasons=tuple(f"{subject}: {reason}" for reason in found.reasons),
        )

    def _begin(self, subject: str, at: datetime) -> _Series | None:
        """A new series takes the place of one that has been silent for a day, if there is no other."""
        if len(self._series) >= MOST_SERIES:
            oldest, silent = next(iter(self._series.items()))
            if at - silent.seen_at < timedelta(days=1):
                return None
            del self._series[oldest]
        return self._series.setdefault(subject, _Series(Outlier(), at))


def subject_of(arrival: Arrival) -> str:
    """The metric's name, with the labels that tell it from its like."""
    labels = ",".join(f"{name}={value}" for name, value in sorted(arrival.labels.items()))
    return (f"{arrival.key}{{{labels}}}" if labels else arrival.key)[:_SUBJECT]


def _sums(arrivals: Iterable[Arrival], minutes: int, known: Mapping[str, object]) -> Iterable[Sum]:
    sums: dict[tuple[str, str, datetime], Sum] = {}
    for each in arrivals:
        at = each.received_at.replace(
            minute=each.received_at.minute - each.received_at.minute % minutes, second=0, microsecond=0
        )
        key = (each.kind, _summed_under(each, known), at)
        sums[key] = _with(sums.get(key) or Sum(kind=key[0], subject=key[1], at=at, count=0), each.value)
    return sums.values()


def _summed_under(arrival: Arrival, known: Mapping[str, object]) -> str:
    """A metric by its subject, whatever else by its severity."""
    if arrival.kind != "metric":
        return arrival.severity or ""
    subject = subject_of(arrival)
    return subject if subject in known else REST


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
