"""What a service sends, each metric and each kind of signal by itself: whether it is late, and how much there is of it.

That nothing comes is a state of its own. It is seen by asking, and never as a zero.
"""

from datetime import UTC, datetime, timedelta

from domain.anomaly import Observation
from domain.watch import Arrival, Learnt
from models.detectors.freshness import Freshness
from models.detectors.volume import Volume
from models.watch.metrics import MINUTE, TOLD, VOLUME, named
from models.watch.subjects import State, Subjects, observed

FRESHNESS = "freshness"
MOST_FEEDS, MOST_KINDS = 50, 10
APART = timedelta(seconds=5)
"""What comes within that time has come at once."""

LEAST = timedelta(seconds=30)
"""Nothing is late before."""

GONE = timedelta(days=14)
"""Nobody waits for what has not come for so long."""

AGAIN = timedelta(minutes=1)
_SIGNALS = "volume of signals"
"""What its state is kept under, apart from that of metrics that measure a volume."""

_CERTAIN = 2
"""Nothing comes after nothing: it needs no second look to be believed."""


class Feeds:
    def __init__(self) -> None:
        self._feeds = Subjects(FRESHNESS, Freshness, most=MOST_FEEDS)
        self._kinds = Subjects(_SIGNALS, Signals, most=MOST_KINDS)
        self._came: dict[str, datetime] = {}
        self._told: dict[str, datetime] = {}
        self._minute: datetime | None = None
        self._counts: dict[str, int] = {}
        self._is_whole = False

    def restore(self, state: State, at: datetime) -> None:
        """Go on from what was learnt before."""
        self._feeds.restore(state, at)
        self._kinds.restore(state, at)

    def take(self, arrival: Arrival, seen: list[Observation]) -> None:
        """It has come; what is said of that, and of the minute that it ends, goes to `seen`."""
        at, subject = arrival.received_at, named(arrival) if arrival.kind == "metric" else arrival.kind
        self._count(arrival.kind, at, arrival.count, seen)
        if subject in self._came and at - self._came[subject] < APART:
            return
        if (heard := self._feeds.heard(subject, at)) is None:
            return
        feed, at = heard
        waited = at - feed.last if feed.last else timedelta(0)
        found = feed.observe(at, [1.0])
        self._remember(subject, at)
        is_odd = found.score >= TOLD and waited >= LEAST
        seen.append(
            Observation(
                detector=FRESHNESS,
                subject=subject,
                at=at,
                score=found.score,
                is_odd=is_odd,
                reasons=tuple(f"{subject}: {reason}" for reason in found.reasons) if is_odd else (),
            )
        )

    def missing(self, now: datetime) -> list[Observation]:
        """What has not come though it is due; each is said at once, and then once a minute."""
        return [
            found
            for subject, feed in self._feeds.pairs()
            if feed.last is not None
            and LEAST <= now - feed.last < GONE
            and (subject not in self._told or now - self._told[subject] >= AGAIN)
            and (found := self._late(subject, feed, feed.last, now)) is not None
        ]

    def due(self, now: datetime) -> datetime | None:
        """When the next thing will be missing, of what has not been said to be; None when nothing is waited for."""
        waited = [
            max(due, feed.last + LEAST)
            for subject, feed in self._feeds.pairs()
            if feed.last is not None
            and now - feed.last < GONE
            and subject not in self._told
            and (due := feed.due()) is not None
        ]
        return min(waited, default=None)

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        return [*self._feeds.unkept(), *self._kinds.unkept()]

    def _remember(self, subject: str, at: datetime) -> None:
        """What is watched no more, as another has taken its place, is forgotten."""
        self._came[subject] = at
        self._told.pop(subject, None)
        if len(self._came) > MOST_FEEDS:
            self._came = {each: came for each, came in self._came.items() if each in self._feeds}
            self._told = {each: told for each, told in self._told.items() if each in self._feeds}

    def _late(self, subject: str, feed: Freshness, last: datetime, now: datetime) -> Observation | None:
        found = feed.observe(now, [None])
        if found.score < TOLD:
            return None
        self._told[subject] = now
        return Observation(
            detector=FRESHNESS,
            subject=subject,
            at=now,
            score=found.score,
            is_odd=True,
            weight=_CERTAIN,
            reasons=tuple(f"{subject}: {reason}" for reason in found.reasons),
            evidence={"last": last.astimezone(UTC).isoformat()},
        )

    def _count(self, kind: str, at: datetime, count: int, seen: list[Observation]) -> None:
        """Of a minute in which the service spoke; the first one may have begun before anybody counted.

        Metrics are not counted: of each of them it is known when it is due.
        """
        minute = at.replace(second=0, microsecond=0)
        if self._minute is None or minute > self._minute:
            if self._minute is not None and self._is_whole:
                seen.extend(self._volumes(self._minute + MINUTE))
            self._is_whole = self._minute is not None
            self._minute, self._counts = minute, {}
        if kind != "metric" and (kind in self._counts or len(self._counts) < MOST_KINDS):
            self._counts[kind] = self._counts.get(kind, 0) + count

    def _volumes(self, at: datetime) -> list[Observation]:
        known = {subject for subject, _ in self._kinds.pairs()}
        came = {f"{kind} signals": count for kind, count in self._counts.items()}
        return [
            _volume(subject, *heard, came.get(subject, 0))
            for subject in sorted(known | came.keys())
            if (heard := self._kinds.heard(subject, at)) is not None
        ]


class Signals(Volume):
    """How many signals came in a minute."""

    def __init__(self, of: str = "in a minute") -> None:
        super().__init__(of)


def _volume(subject: str, detector: Volume, at: datetime, count: int) -> Observation:
    return observed(VOLUME, subject, detector.observe(at, [float(count)]), at, odd=TOLD, evidence={"count": count})
