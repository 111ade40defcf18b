"""One detector for each of many subjects, of which no more than so many are watched."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pydantic import JsonValue

from domain.anomaly import Observation
from domain.watch import Learnt
from models.detectors.contract import Finding, Learner

L = TypeVar("L", bound=Learner)

State = Mapping[tuple[str, str], Mapping[str, JsonValue]]
"""What was learnt, by detector and subject."""

SILENT = timedelta(days=1)
LONGEST = 255


@dataclass
class _Known(Generic[L]):
    detector: L
    seen_at: datetime
    is_kept: bool = True


def observed(
    detector: str, subject: str, found: Finding, at: datetime, *, odd: float, evidence: Mapping[str, JsonValue]
) -> Observation:
    """What a detector has found of the subject, as it was told at that time; odd from that score on."""
    return Observation(
        detector=detector,
        subject=subject,
        at=at,
        score=found.score,
        is_odd=found.score >= odd,
        reasons=tuple(f"{subject}: {reason}" for reason in found.reasons),
        evidence=dict(evidence),
    )


class Subjects(Generic[L]):
    """The first `most` subjects each have a detector; another takes the place of one that has been silent for a day."""

    def __init__(self, name: str, kind: type[L], *, most: int) -> None:
        self._name = name
        self._kind = kind
        self._most = most
        self._known: OrderedDict[str, _Known[L]] = OrderedDict()

    def restore(self, state: State, at: datetime) -> None:
        """Go on from what was learnt before."""
        for (detector, subject), learnt in state.items():
            if detector == self._name:
                self._known[subject] = _Known(self._kind.restored(dict(learnt)), at)

    def heard(self, subject: str, at: datetime) -> tuple[L, datetime] | None:
        """The subject's detector, which learns now, and the time to tell it, which never goes back; None: one too many."""
        known = self._known.get(subject) or self._begin(subject, at)
        if known is None:
            return None
        self._known.move_to_end(subject)
        known.seen_at, known.is_kept = max(known.seen_at, at), False
        return known.detector, known.seen_at

    def __contains__(self, subject: str) -> bool:
        return subject in self._known

    def pairs(self) -> Iterator[tuple[str, L]]:
        for subject, known in self._known.items():
            yield subject, known.detector

    def unkept(self) -> list[Learnt]:
        """What has been learnt since this was last asked."""
        changed = [(subject, each) for subject, each in self._known.items() if not each.is_kept]
        for _, each in changed:
            each.is_kept = True
        return [
            Learnt(detector=self._name, subject=subject, state=each.detector.state(), seen_at=each.seen_at)
            for subject, each in changed
        ]

    def _begin(self, subject: str, at: datetime) -> _Known[L] | None:
        if len(self._known) >= self._most:
            oldest, silent = next(iter(self._known.items()))
            if at - silent.seen_at < SILENT:
                return None
            del self._known[oldest]
        return self._known.setdefault(subject, _Known(self._kind(), at))
