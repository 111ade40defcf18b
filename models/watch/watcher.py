"""All that is watched of one service.

What a sender tells an hour late, or from the future, is not judged: its moment is not the present one. What is late is added up
under its own time, and what is from the future under none.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self

from domain.anomaly import Observation
from domain.base import Value
from domain.signal import Timing
from domain.watch import Arrival, Learnt, LogPatterns, LogTemplate, Monitor, Sum
from models.logs.grok import Grok, GrokPatterns
from models.watch import errors, feeds, lines, metrics, mix
from models.watch.feeds import Feeds
from models.watch.lines import Lines, Mined
from models.watch.metrics import Metrics
from models.watch.subjects import State
from models.watch.sums import sums

WATCHED = {
    lines.DETECTOR: "more errors in ten seconds than usual",
    metrics.DETECTOR: "values of a metric that are far from its level, or from what the hour usually holds",
    metrics.CHANGE: "a metric whose level or spread has changed for good",
    metrics.DURATION: "runs that took far longer or shorter than usual",
    metrics.VOLUME: "far less or more than usual, in rows or in signals a minute",
    feeds.FRESHNESS: "what is late, or does not come any more",
    errors.NOVELTY: "errors that were never said before",
    errors.SIGNATURE: "more failures of one kind than usual, by code, template and frame",
    mix.MIXTURE: "log templates that are new, or whose share of the lines has shifted",
}
"""The detectors that watch, by what each finds."""


class Taken(Value):
    """What came of arrivals: what detectors say of their subjects, sums of one and of five minutes, and templates."""

    observations: tuple[Observation, ...]
    sums: dict[int, tuple[Sum, ...]]
    mined: Mined


class Watcher:
    """The detectors of one service. Its memory is bounded, and its state is what they have learnt."""

    def __init__(self, metrics: Metrics, lines: Lines, feeds: Feeds) -> None:
        self._metrics = metrics
        self._lines = lines
        self._feeds = feeds
        self._patterns = LogPatterns()

    @classmethod
    def restored(cls, monitor: Monitor, state: State, templates: Iterable[LogTemplate], at: datetime) -> Self:
        """With what was learnt before."""
        known, came = Metrics(), Feeds()
        known.restore(state, at)
        came.restore(state, at)
        said = Lines.restored(templates, following=monitor.next_template, lines=monitor.lines, state=state, at=at)
        return cls(known, said, came)

    def read_with(self, patterns: LogPatterns) -> None:
        """Read lines with a user's patterns from now on; they were checked when they were stored."""
        if patterns != self._patterns:
            self._patterns = patterns
            expressions = GrokPatterns.model_construct(**dict(patterns))
            self._lines.read_with(Grok(expressions) if patterns.expressions else None)

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Learn from them, in the order they came, and say what is odd."""
        seen: list[Observation] = []
        subjects = [self._observe(each, seen) for each in arrivals]
        seen.extend(self._lines.so_far())
        if arrivals:
            seen.extend(self.missing(max(each.received_at for each in arrivals)))
        return Taken(
            observations=tuple(seen),
            sums=sums(zip(arrivals, subjects, strict=True)),
            mined=self._lines.mined(),
        )

    def missing(self, now: datetime) -> list[Observation]:
        """What has not come though it is due."""
        return self._feeds.missing(now)

    def due(self, now: datetime) -> datetime | None:
        """When the next thing will be missing if it does not come; None when nothing is waited for."""
        return self._feeds.due(now)

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        return [*self._metrics.unkept(), *self._lines.unkept(), *self._feeds.unkept()]

    def _observe(self, arrival: Arrival, seen: list[Observation]) -> str:
        """What the arrival is added up under; what is said of it goes to `seen`."""
        is_of_now = arrival.timing is Timing.PRESENT
        if is_of_now:
            self._feeds.take(arrival, seen)
        match arrival.kind:
            case "metric":
                return self._metrics.take(arrival, seen, judged=is_of_now)
            case "log" if is_of_now and arrival.text:
                return self._lines.take(arrival, arrival.text, seen)
            case _:
                return arrival.severity or ""
