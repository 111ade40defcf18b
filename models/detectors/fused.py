"""Several findings of one thing as one score, each heard as far as its detector was right before, and what to do about it."""

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

from pydantic import Field

from domain.base import Value
from models.detectors.contract import Finding

_PRIOR = 2
_CERTAIN = 0.999
_FURTHER = 0.5
_TELLING = 0.5
_MOST = 5
_DIGITS = 9
"""So that one score alone is itself again, on the same side of every limit."""


class Guardrail(StrEnum):
    """What a score asks for, each step with those before it.

    `none` below .5. `watch` from .5: it is looked at again with the next row, and shown. `alert` from .6: those who own it are
    told. `hold_changes` from .75: nothing is deployed or changed there until it is explained. `page` from .9: somebody is
    woken. In units of one detector of which nothing is known, that is 1, 1.5, 3 and 9 times what is odd.
    """

    NONE = "none"
    WATCH = "watch"
    ALERT = "alert"
    HOLD_CHANGES = "hold_changes"
    PAGE = "page"


_FROM = (
    (0.9, Guardrail.PAGE),
    (0.75, Guardrail.HOLD_CHANGES),
    (0.6, Guardrail.ALERT),
    (_TELLING, Guardrail.WATCH),
    (0.0, Guardrail.NONE),
)


class TrackRecord(Value):
    """How many alarms of a detector turned out right, and how many false."""

    right: int = Field(default=0, ge=0)
    false: int = Field(default=0, ge=0)

    @property
    def precision(self) -> float:
        """The share that was right, drawn to one half by two of each: the mean of a beta posterior whose prior is (2, 2)."""
        return (self.right + _PRIOR) / (self.right + self.false + 2 * _PRIOR)


class Heard(Value):
    """What one detector says, and what is known of it."""

    detector: str
    finding: Finding
    record: TrackRecord = TrackRecord()

    @property
    def weight(self) -> float:
        """The log odds of its score, by twice its precision; 0 below one half, where it says nothing."""
        score = min(_CERTAIN, self.finding.score)
        return 2 * self.record.precision * math.log(score / (1 - score)) if score > _TELLING else 0.0


class Fused(Value):
    """The score of all, why, which metrics and which detectors, the strongest first, and what to do."""

    score: float = Field(ge=0, le=1)
    reasons: tuple[str, ...]
    metrics: tuple[str, ...]
    detectors: tuple[str, ...]
    action: Guardrail


def fused(heard: Sequence[Heard]) -> Fused:
    """One score of several findings, in any order.

    Where any is odd the score is a logarithmic opinion pool (Genest and Zidek 1986) of those that are: the log odds are added,
    each by its weight, the strongest whole and each further one half of the one before, because detectors of the same rows
    agree even when they are wrong. So two strong ones can at most square the odds of the stronger, and one that was mostly
    wrong moves little. Where none is odd it is the highest score.
    """
    odd = sorted((each for each in heard if each.weight > 0), key=lambda each: (-each.weight, each.detector))
    if not odd:
        score = max((each.finding.score for each in heard), default=0.0)
        return Fused(score=score, reasons=(), metrics=(), detectors=(), action=guardrail(score))
    odds = math.exp(sum(each.weight * _FURTHER**place for place, each in enumerate(odd)))
    score = round(odds / (1 + odds), _DIGITS)
    return Fused(
        score=score,
        reasons=_first(reason for each in odd for reason in each.finding.reasons),
        metrics=_first(metric for each in odd for metric in each.finding.metrics),
        detectors=_first(each.detector for each in odd),
        action=guardrail(score),
    )


def guardrail(score: float) -> Guardrail:
    return next(action for least, action in _FROM if score >= least)


def _first(words: Iterable[str]) -> tuple[str, ...]:
    """The first few, each once."""
    return tuple(dict.fromkeys(words))[:_MOST]
