"""All that is watched of one service.

What a sender tells an hour late, or from the future, is added up and not judged: its moment is not the present one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import JsonValue

from domain.anomaly import Observation
from domain.base import Value
from domain.watch import Arrival, Learnt, LogTemplate, Monitor, Sum
from models.watch import lines, metrics
from models.watch.lines import Lines, Mined
from models.watch.metrics import Metrics
from models.watch.sums import sums

WATCHED = {
    lines.DETECTOR: "more errors in ten seconds than usual",
    metrics.DETECTOR: "values of a metric that are far from its level, or from what the hour usually holds",
}
"""The detectors that watch, by what each finds."""

LATE, EARLY = timedelta(hours=1), timedelta(minutes=5)

State = Mapping[tuple[str, str], Mapping[str, JsonValue]]


class Taken(Value):
    """What came of arrivals: what detectors say of their subjects, sums of one and of five minutes, and templates."""

    observations: tuple[Observation, ...]
    sums: dict[int, tuple[Sum, ...]]
    mined: Mined


class Watcher:
    """The detectors of one service. Its memory is bounded, and its state is what they have learnt."""

    def __init__(self, metrics: Metrics, lines: Lines) -> None:
        self._metrics = metrics
        self._lines = lines

    @classmethod
    def restored(cls, monitor: Monitor, state: State, templates: Iterable[LogTemplate], at: datetime) -> Self:
        """With what was learnt before."""
        known = Metrics()
        known.restore({subject: each for (detector, subject), each in state.items() if detector == metrics.DETECTOR}, at)
        burst = state.get((lines.DETECTOR, lines.SUBJECT))
        return cls(known, Lines.restored(templates, following=monitor.next_template, lines=monitor.lines, burst=burst))

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Learn from them, in the order they came, and say what is odd."""
        seen: list[Observation] = []
        subjects = [self._observe(each, seen) for each in arrivals]
        if (so_far := self._lines.so_far()) is not None:
            seen.append(so_far)
        return Taken(
            observations=tuple(seen),
            sums=sums(zip(arrivals, subjects, strict=True)),
            mined=self._lines.mined(),
        )

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        return [*self._metrics.unkept(), *self._lines.unkept()]

    def _observe(self, arrival: Arrival, seen: list[Observation]) -> str:
        """What the arrival is added up under; what is said of it goes to `seen`."""
        is_of_now = -EARLY <= arrival.received_at - arrival.ts <= LATE
        match arrival.kind:
            case "metric":
                return self._metrics.take(arrival, seen, judged=is_of_now)
            case "log" if is_of_now and arrival.text:
                return self._lines.take(arrival, arrival.text, seen)
            case _:
                return arrival.severity or ""
