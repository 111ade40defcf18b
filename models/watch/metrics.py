"""The metrics of one service, each watched by itself."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from domain.anomaly import Observation
from domain.watch import Arrival, Learnt
from models.detectors.outlier import Outlier

DETECTOR = "outlier"
ODD = 0.66
MOST = 200
"""So many are watched, those last seen; the others are only added up, all as one."""
OTHERS = "(others)"
_SILENT = timedelta(days=1)
_SUBJECT = 255


@dataclass
class _Series:
    detector: Outlier
    seen_at: datetime
    is_kept: bool = True


class Metrics:
    def __init__(self) -> None:
        self._series: OrderedDict[str, _Series] = OrderedDict()

    def restore(self, learnt: Mapping[str, Mapping[str, JsonValue]], at: datetime) -> None:
        """Go on from what was learnt before, by subject."""
        self._series.update((subject, _Series(Outlier.restored(dict(state)), at)) for subject, state in learnt.items())

    def take(self, arrival: Arrival, seen: list[Observation], *, judged: bool) -> str:
        """What the value is added up under; what its detector says goes to `seen`."""
        subject = _named(arrival)
        if judged and arrival.value is not None and (said := self._observe(subject, arrival, arrival.value)) is not None:
            seen.append(said)
        return subject if subject in self._series else OTHERS

    def _observe(self, subject: str, arrival: Arrival, value: float) -> Observation | None:
        """None when its series is one too many."""
        at = min(arrival.ts, arrival.received_at)
        series = self._series.get(subject) or self._begin(subject, at)
        if series is None:
            return None
        self._series.move_to_end(subject)
        series.seen_at, series.is_kept = max(series.seen_at, at), False
        found = series.detector.observe(series.seen_at, [value])
        return Observation(
            detector=DETECTOR,
            subject=subject,
            at=arrival.received_at,
            score=found.score,
            is_odd=found.score >= ODD,
            reasons=tuple(f"{subject}: {reason}" for reason in found.reasons),
            evidence={"value": value},
        )

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        changed = [(subject, each) for subject, each in self._series.items() if not each.is_kept]
        for _, each in changed:
            each.is_kept = True
        return [
            Learnt(detector=DETECTOR, subject=subject, state=each.detector.state(), seen_at=each.seen_at)
            for subject, each in changed
        ]

    def _begin(self, subject: str, at: datetime) -> _Series | None:
        """A new series takes the place of one that has been silent for long, if there is no other."""
        if len(self._series) >= MOST:
            oldest, silent = next(iter(self._series.items()))
            if at - silent.seen_at < _SILENT:
                return None
            del self._series[oldest]
        return self._series.setdefault(subject, _Series(Outlier(), at))


def _named(arrival: Arrival) -> str:
    """The metric's name, with the labels that tell it from its like."""
    labels = ",".join(f"{name}={value}" for name, value in sorted(arrival.labels.items()))
    return (f"{arrival.key}{{{labels}}}" if labels else arrival.key)[:_SUBJECT]
