"""The log lines of one service: what they say, and whether that, or how many errors they tell of, is unusual."""

from collections.abc import Iterable
from datetime import UTC, datetime

from domain.anomaly import Observation
from domain.base import Value
from domain.watch import Arrival, Learnt, LogTemplate
from models.detectors.burst import Burst
from models.detectors.contract import Finding
from models.logs.grok import Grok
from models.logs.levels import Level, of_word
from models.logs.miner import Miner, MinerState, Template
from models.logs.records import read
from models.watch.errors import EVERY, Errors
from models.watch.mix import Mix
from models.watch.subjects import State

DETECTOR, SUBJECT = "burst", "errors"
ODD = 0.5
ERRORS = frozenset({Level.ERROR, Level.CRITICAL})
_MANY = 2
"""A burst is many errors at once: it needs no second one to be believed."""


class Mined(Value):
    """How the templates have changed: what each is now, which are none any more, how many numbers and lines were given."""

    changed: tuple[LogTemplate, ...]
    gone: tuple[int, ...]
    next_template: int
    lines: int


class Lines:
    """Errors are counted by intervals of ten seconds; the one that is not over yet is judged as it stands."""

    def __init__(self, miner: Miner | None = None, burst: Burst | None = None) -> None:
        self._miner = miner or Miner()
        self._burst = burst or Burst(EVERY)
        self._kinds, self._mix = Errors(), Mix()
        self._grok: Grok | None = None
        self._began: datetime | None = None
        self._seen_at: datetime | None = None
        self._errors = self._lines = 0
        self._is_kept = True

    @classmethod
    def restored(cls, templates: Iterable[LogTemplate], *, following: int, lines: int, state: State, at: datetime) -> "Lines":
        known = tuple(mined(each) for each in templates)
        miner = Miner.restored(MinerState(templates=known, following=following, lines=lines))
        burst = state.get((DETECTOR, SUBJECT))
        found = cls(miner, Burst.restored(dict(burst)) if burst else None)
        found._kinds.restore(state, at)
        found._mix.restore(state, at)
        return found

    def read_with(self, grok: Grok | None) -> None:
        """What a user's patterns find in a line counts more than what any line would be read as."""
        self._grok = grok

    def take(self, arrival: Arrival, text: str, seen: list[Observation]) -> str:
        """How bad the line is; when it begins an interval, what is said of the one before goes to `seen`."""
        record = (self._grok and self._grok.read(text)) or read(text)
        level = of_word(arrival.severity or "") or record.level
        at = arrival.received_at
        sighting = self._miner.take(record.message or text, at.timestamp(), count=arrival.count)
        self._turn(at, seen)
        if (mixed := self._mix.take(sighting.number, at, self._miner.text, count=arrival.count)) is not None:
            seen.append(mixed)
        self._lines += arrival.count
        self._seen_at = at
        if level in ERRORS:
            self._errors += arrival.count
            said = self._miner.text(sighting.number) or ""
            self._kinds.take(record, sighting, said, lines=self._miner.lines, at=at, count=arrival.count)
        return level or arrival.severity or ""

    def so_far(self) -> list[Observation]:
        """What is odd already of the interval that is not over yet."""
        if self._seen_at is None:
            return []
        found = self._burst.so_far((self._errors, self._lines))
        odd = [_observation(found, self._seen_at, self._errors, self._lines)] if found.score >= ODD else []
        return odd + self._kinds.so_far(self._seen_at, self._lines)

    def mined(self) -> Mined:
        """How the templates have changed since this was last asked."""
        changes = self._miner.changes()
        self._miner.stored(changes)
        for each in changes.templates:
            self._mix.absorb(each.number, each.absorbed)
        changed = tuple(_stored(each) for each in changes.templates)
        return Mined(changed=changed, gone=changes.gone, next_template=changes.following, lines=changes.lines)

    def unkept(self) -> list[Learnt]:
        """What has been learnt of errors since this was last asked."""
        others = [*self._kinds.unkept(), *self._mix.unkept()]
        if self._is_kept or self._seen_at is None:
            return others
        self._is_kept = True
        return [Learnt(detector=DETECTOR, subject=SUBJECT, state=self._burst.state(), seen_at=self._seen_at), *others]

    def _turn(self, at: datetime, seen: list[Observation]) -> None:
        """End the interval if `at` lies behind it; one in which nothing came says nothing."""
        if self._began is None:
            self._began = _interval(at)
        if at < self._began + EVERY:
            return
        found = self._burst.observe(self._began, (self._errors, self._lines))
        seen.append(_observation(found, self._began + EVERY, self._errors, self._lines))
        seen.extend(self._kinds.turn(self._began, self._lines))
        self._began, self._errors, self._lines, self._is_kept = _interval(at), 0, 0, False


def _interval(at: datetime) -> datetime:
    seconds = EVERY.total_seconds()
    return datetime.fromtimestamp(at.timestamp() // seconds * seconds, tz=UTC)


def _observation(found: Finding, at: datetime, errors: int, lines: int) -> Observation:
    is_odd = found.score >= ODD
    weight = _MANY if is_odd else 1
    return Observation(
        detector=DETECTOR,
        subject=SUBJECT,
        at=at,
        score=found.score,
        is_odd=is_odd,
        weight=weight,
        reasons=found.reasons,
        evidence={"errors": errors, "lines": lines},
    )


def _stored(mined: Template) -> LogTemplate:
    return LogTemplate(
        number=mined.number,
        template=mined.text,
        count=mined.count,
        first_seen_at=datetime.fromtimestamp(mined.first, tz=UTC),
        last_seen_at=datetime.fromtimestamp(mined.last, tz=UTC),
        exemplar=mined.exemplar,
        placed=mined.placed,
        absorbed=mined.absorbed,
    )


def mined(stored: LogTemplate) -> Template:
    """A stored template as the miner has it."""
    return Template(
        number=stored.number,
        text=stored.template,
        count=stored.count,
        first=stored.first_seen_at.timestamp(),
        last=stored.last_seen_at.timestamp(),
        exemplar=stored.exemplar,
        placed=stored.placed,
        absorbed=stored.absorbed,
    )
