"""Rank the causes of a failed stage from what is known of it: its run, its log, the changes before it, its history.

Each cause starts at a prior and gains or loses log-odds by the clues that speak for or against it (naive Bayes with
hand-set weights); confidences are the softmax over all causes and "none of these", whose score is 0. Text of a log
only ever chooses among causes: it never names a target, a version or an action.
"""

import re
from datetime import timedelta
from enum import StrEnum

import numpy as np
from pydantic import Field

from domain.base import Value
from domain.evidence import Cause


class Clue(StrEnum):
    """One thing that was looked for; each is found by one kind of evidence."""

    CONFIG_CHANGED = "config_changed"
    CONFIG_SAME = "config_same"
    CHANGE_NAMED_IN_LOG = "change_named_in_log"
    CONTROL_PASSED = "control_passed"
    RECENT_CHANGE = "recent_change"
    CODE_CHANGED = "code_changed"
    UNAVAILABLE_IN_LOG = "unavailable_in_log"
    REFUSED_IN_LOG = "refused_in_log"
    SHAPE_IN_LOG = "shape_in_log"
    EXHAUSTED_IN_LOG = "exhausted_in_log"
    TIMED_OUT = "timed_out"
    KILLED = "killed"


class Change(Value):
    """One config key that differs from the last version that passed, with its values as text."""

    key: str
    before: str | None
    after: str | None


class Symptoms(Value):
    """What is known of a failed stage, by whichever sources there were."""

    log: str
    timed_out: bool = False
    signal: int | None = None
    changes: tuple[Change, ...] | None = Field(default=None, description="None: there is no passing run to compare with")
    code_changed: bool = False
    since_change: timedelta | None = None
    control_passed: bool = False


class Ranked(Value):
    cause: Cause
    confidence: float
    clues: tuple[Clue, ...]
    against: tuple[Clue, ...]


_PRIOR = {
    Cause.CONFIGURATION_DRIFT: -2.5,
    Cause.CODE_CHANGE: -2.5,
    Cause.DEPENDENCY_DOWN: -2.0,
    Cause.CONNECTION_OR_AUTH: -2.5,
    Cause.RESOURCE_BOTTLENECK: -2.5,
    Cause.SCHEMA_OR_DATA: -2.0,
    Cause.TIMEOUT: -2.5,
    Cause.FAILING_STAGE: -1.0,
}
_WEIGHT: dict[Cause, dict[Clue, float]] = {
    Cause.CONFIGURATION_DRIFT: {
        Clue.CONFIG_CHANGED: 2.5,
        Clue.CHANGE_NAMED_IN_LOG: 2.5,
        Clue.CONTROL_PASSED: 1.5,
        Clue.RECENT_CHANGE: 0.5,
        Clue.CONFIG_SAME: -6.0,
        Clue.UNAVAILABLE_IN_LOG: -1.5,
    },
    Cause.CODE_CHANGE: {Clue.CODE_CHANGED: 4.0, Clue.CONTROL_PASSED: 1.0, Clue.RECENT_CHANGE: 0.5},
    Cause.DEPENDENCY_DOWN: {
        Clue.UNAVAILABLE_IN_LOG: 4.5,
        Clue.CONFIG_SAME: 1.0,
        Clue.CHANGE_NAMED_IN_LOG: -2.0,
        Clue.SHAPE_IN_LOG: -0.5,
    },
    Cause.CONNECTION_OR_AUTH: {Clue.REFUSED_IN_LOG: 5.0},
    Cause.RESOURCE_BOTTLENECK: {Clue.EXHAUSTED_IN_LOG: 5.0, Clue.KILLED: 2.5},
    Cause.SCHEMA_OR_DATA: {Clue.SHAPE_IN_LOG: 3.0, Clue.CONFIG_SAME: 1.5, Clue.CHANGE_NAMED_IN_LOG: -1.5},
    Cause.TIMEOUT: {Clue.TIMED_OUT: 6.0},
    Cause.FAILING_STAGE: {},
}
_UNAVAILABLE = re.compile(
    r"\b(50[0234]|service unavailable|bad gateway|gateway time-?out|connection (refused|reset|aborted|closed)"
    r"|timed out|temporar(y|ily)|no route to host|name or service not known|unreachable|429|too many requests)\b",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\b(401|403|unauthori[sz]ed|forbidden|permission denied|access denied|authentication failed|invalid (token|credential)"
    r"|certificate (verify|has expired))",
    re.IGNORECASE,
)
_EXHAUSTED = re.compile(
    r"(MemoryError|out of memory|cannot allocate|no space left|too many open files|disk quota"
    r"|resource temporarily unavailable)",
    re.IGNORECASE,
)
_SHAPE = re.compile(
    r"\b(columns?|fields?|schema|KeyError|TypeError|ValueError|parse|could not convert|invalid literal|not found in"
    r"|unexpected (type|value)|null value|constraint|duplicate key|missing)\b",
    re.IGNORECASE,
)
_RECENT = timedelta(hours=24)
_TELLING = 3


def clues(symptoms: Symptoms) -> frozenset[Clue]:
    """What can be found in `symptoms`."""
    log = symptoms.log
    found = {
        Clue.CONFIG_CHANGED: bool(symptoms.changes),
        Clue.CONFIG_SAME: symptoms.changes == (),
        Clue.CHANGE_NAMED_IN_LOG: named_in(log, symptoms.changes or ()) is not None,
        Clue.CONTROL_PASSED: symptoms.control_passed and bool(symptoms.changes or symptoms.code_changed),
        Clue.RECENT_CHANGE: bool(symptoms.changes or symptoms.code_changed)
        and symptoms.since_change is not None
        and symptoms.since_change <= _RECENT,
        Clue.CODE_CHANGED: symptoms.code_changed,
        Clue.UNAVAILABLE_IN_LOG: bool(_UNAVAILABLE.search(log)),
        Clue.REFUSED_IN_LOG: bool(_REFUSED.search(log)),
        Clue.SHAPE_IN_LOG: bool(_SHAPE.search(log)),
        Clue.EXHAUSTED_IN_LOG: bool(_EXHAUSTED.search(log)),
        Clue.TIMED_OUT: symptoms.timed_out,
        Clue.KILLED: symptoms.signal == 9 and not symptoms.timed_out,
    }
    return frozenset(clue for clue, present in found.items() if present)


def named_in(log: str, changes: tuple[Change, ...]) -> Change | None:
    """The change whose key or new value the log names as a word of its own."""
    for change in changes:
        for word in (change.after, change.key):
            if word and len(word) >= _TELLING and re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", log):
                return change
    return None


def rank(symptoms: Symptoms) -> tuple[Ranked, ...]:
    """Every cause with its confidence in [0, 1], the likeliest first; they and "none of these" sum to 1."""
    found = clues(symptoms)
    causes = list(Cause)
    scores = np.array([_PRIOR[cause] + sum(_WEIGHT[cause].get(clue, 0.0) for clue in found) for cause in causes])
    weights = np.exp(np.append(scores, 0.0) - max(scores.max(), 0.0))
    confidences = weights[:-1] / weights.sum()
    ranked = (
        Ranked(cause=cause, confidence=float(confidence), clues=_speaking(cause, found, 1), against=_speaking(cause, found, -1))
        for cause, confidence in zip(causes, confidences, strict=True)
    )
    return tuple(sorted(ranked, key=lambda each: (-each.confidence, each.cause)))


def _speaking(cause: Cause, found: frozenset[Clue], sign: int) -> tuple[Clue, ...]:
    return tuple(sorted(clue for clue in found if _WEIGHT[cause].get(clue, 0.0) * sign > 0))
