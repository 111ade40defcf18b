"""The errors among the lines of a service: those never said before, and each kind of failure by itself."""

from datetime import datetime, timedelta

from domain.anomaly import Observation
from domain.watch import Learnt
from models.detectors.burst import Burst
from models.detectors.scores import lasting, shown
from models.logs.errors import ErrorSignature, said
from models.logs.miner import Sighting
from models.logs.records import Record
from models.watch.subjects import State, Subjects

NOVELTY, SIGNATURE = "novelty", "signature"
NOVELTIES = "errors never said before"
EVERY = timedelta(seconds=10)
MOST_SIGNATURES = 20
ODD, MANY = 0.5, 2
"""What was never said, or comes in a burst, needs no second look to be believed."""

SURPRISING = 0.9
"""A line in ten is new at the most: where more are, one more is no news."""

LEAST_LINES = 100
_TOLD, _WORDS = 3, 200


class Errors:
    """Kinds of failure are told apart by code, template and frame; each has its own usual number in ten seconds."""

    def __init__(self) -> None:
        self._bursts = Subjects(SIGNATURE, Burst, most=MOST_SIGNATURES)
        self._signatures: dict[str, ErrorSignature] = {}
        self._counts: dict[str, int] = {}
        self._new: list[tuple[str, str]] = []

    def restore(self, state: State, at: datetime) -> None:
        """Go on from what was learnt before."""
        self._bursts.restore(state, at)

    def take(self, record: Record, sighting: Sighting, template: str, *, lines: int, at: datetime, count: int = 1) -> None:
        """`count` error lines that are alike, whose template was seen so often before, `lines` lines after the first."""
        if sighting.is_new and sighting.novelty >= SURPRISING and lines >= LEAST_LINES and len(self._new) < _TOLD:
            self._new.append((template[:_WORDS], record.message[:_WORDS]))
        signature = ErrorSignature.of(record, template if said(record) == record.message else None)
        if self._bursts.heard(signature.digest, at) is not None:
            self._signatures[signature.digest] = signature
            self._counts[signature.digest] = self._counts.get(signature.digest, 0) + count

    def so_far(self, at: datetime, lines: int) -> list[Observation]:
        """What is odd already of the interval that is not over yet."""
        found = [self._novelty(at)] if self._new else []
        return found + [
            self._burst(subject, burst, at, lines, learns=False)
            for subject, burst in self._bursts.pairs()
            if subject in self._counts and burst.so_far((self._counts[subject], lines)).score >= ODD
        ]

    def turn(self, began: datetime, lines: int) -> list[Observation]:
        """End the interval that began then, in which there were so many lines."""
        found = [self._novelty(began + EVERY)]
        found += [self._burst(subject, burst, began, lines, learns=True) for subject, burst in self._bursts.pairs()]
        self._new, self._counts = [], {}
        known = {subject for subject, _ in self._bursts.pairs()}
        self._signatures = {digest: each for digest, each in self._signatures.items() if digest in known}
        return found

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        return self._bursts.unkept()

    def _novelty(self, at: datetime) -> Observation:
        return Observation(
            detector=NOVELTY,
            subject=NOVELTIES,
            at=at,
            score=SURPRISING if self._new else 0,
            is_odd=bool(self._new),
            weight=MANY if self._new else 1,
            reasons=tuple(f"never said before: {template}" for template, _ in self._new),
            evidence={"lines": [{"template": template, "exemplar": exemplar} for template, exemplar in self._new]},
        )

    def _burst(self, subject: str, burst: Burst, at: datetime, lines: int, *, learns: bool) -> Observation:
        row = (self._counts.get(subject, 0), lines)
        found = burst.observe(at, row) if learns else burst.so_far(row)
        is_odd = found.score >= ODD
        kind = self._signatures.get(subject)
        name = " ".join(part for part in (kind.code, kind.template) if part)[:_WORDS] if kind else "an error"
        place = f" at {kind.frame}" if kind and kind.frame else ""
        told = f"{name}{place}: {shown(row[0])} in {lasting(EVERY.total_seconds())}"
        return Observation(
            detector=SIGNATURE,
            subject=subject,
            at=at + EVERY if learns else at,
            score=found.score,
            is_odd=is_odd,
            weight=MANY if is_odd else 1,
            reasons=(told, *found.reasons) if is_odd else (),
            evidence={"errors": row[0], "lines": lines} | (kind.model_dump(mode="json") if kind and is_odd else {}),
        )
