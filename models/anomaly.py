"""Whether a run is unlike those before it: an isolation forest, z-scores, fixed rules and repeated errors, heard together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from statistics import median
from typing import Self

from pydantic import Field, model_validator

from domain.base import Value
from models.detectors.contract import Finding
from models.detectors.forest import Forest
from models.detectors.fused import Guardrail, Heard, TrackRecord, fused
from models.detectors.rate import Rate
from models.detectors.scores import rarity, shown, squashed
from models.features import NAMES, Features, column, row

MOST_HISTORY = 1_000
FOREST_ROWS, SCORE_ROWS = 30, 8
_ANOMALY = 0.5
_FOREST_MIDDLE, _FOREST_LEAST, _FOREST_BEYOND = 0.5, 0.02, 1.1
_ODD_Z, _NORMAL_MAD = 5.0, 0.6745
_PART = 0.05
_MATTERS = {
    "execution_time_s": 1.0,
    "failure_count_1h": 1.0,
    "failure_rate": 0.05,
    "retry_count": 1.0,
    "cpu_percent": 5.0,
    "memory_percent": 5.0,
    "data_volume_rows": 1.0,
    "throughput_rows_s": 1.0,
    "latency_ms": 5.0,
}
"""What a deviation counts as at least, for a feature that hardly moves."""
_ONLY_ABOVE = frozenset({"failure_count_1h", "failure_rate", "retry_count", "latency_ms"})
_REPEATED, _SIGNATURES, _USUAL_ERRORS = 3, 5, 0.5
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)


class Method(StrEnum):
    """How an anomaly was seen; what the records of false alarms are kept by."""

    ISOLATION_FOREST = "isolation_forest"
    Z_SCORE = "z_score"
    RULE = "rule"
    ERROR_PATTERN = "error_pattern"


class Rule(Value):
    """A limit that no history moves: a `feature` of at least or at most so much scores `score`."""

    feature: str
    at_least: float | None = None
    at_most: float | None = None
    score: float = Field(ge=_ANOMALY, le=1)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.feature not in NAMES:
            raise ValueError(f"expected one of {', '.join(NAMES)}, got {self.feature!r}")
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("expected either at_least or at_most")
        return self

    def breach(self, features: Features) -> str | None:
        """How `features` break the rule; None when they do not, or when the feature is unknown."""
        value: float | None = getattr(features, self.feature)
        if value is None:
            return None
        if self.at_least is not None and value >= self.at_least:
            return f"{self.feature} is {shown(value)}, from {shown(self.at_least)} on it is too much"
        if self.at_most is not None and value <= self.at_most:
            return f"{self.feature} is {shown(value)}, up to {shown(self.at_most)} it is too little"
        return None


RULES = (
    Rule(feature="failure_rate", at_least=0.5, score=0.75),
    Rule(feature="failure_count_1h", at_least=10, score=0.7),
    Rule(feature="memory_percent", at_least=95, score=0.7),
    Rule(feature="cpu_percent", at_least=98, score=0.6),
    Rule(feature="retry_count", at_least=5, score=0.6),
)


class Anomaly(Value):
    """The answer to `POST /ai/anomaly/detect`; `features` are the ones to blame, the strongest first."""

    is_anomaly: bool
    score: float = Field(ge=0, le=1)
    reasons: tuple[str, ...]
    features: tuple[str, ...]
    methods: tuple[Method, ...]
    guardrail_action: Guardrail


def detect(
    features: Features,
    history: Sequence[Features],
    *,
    rules: Sequence[Rule] = RULES,
    records: Mapping[Method, TrackRecord] | None = None,
) -> Anomaly:
    """How odd `features` are after `history`, oldest first, of which the last thousand count; an anomaly from .5 on.

    The forest speaks from 30 rows of history on, z-scores from 8 on, rules and repeated errors always.
    """
    recent = history[-MOST_HISTORY:]
    findings = {
        Method.ISOLATION_FOREST: by_forest(features, recent),
        Method.Z_SCORE: by_z_scores(features, recent),
        Method.RULE: by_rules(features, rules),
        Method.ERROR_PATTERN: by_errors(features, recent),
    }
    known = records or {}
    heard = [
        Heard(detector=method, finding=finding, record=known.get(method, TrackRecord())) for method, finding in findings.items()
    ]
    all_in_all = fused(heard)
    return Anomaly(
        is_anomaly=all_in_all.score >= _ANOMALY,
        score=all_in_all.score,
        reasons=all_in_all.reasons,
        features=all_in_all.metrics,
        methods=tuple(Method(name) for name in all_in_all.detectors),
        guardrail_action=all_in_all.action,
    )


def by_forest(features: Features, history: Sequence[Features]) -> Finding:
    """Odd as a whole: .5 is a tenth farther from an average row than the oddest of a thousand rows of history.

    A feature that is unknown now, or was never known, is left out of both.
    """
    names = [name for name in NAMES if getattr(features, name) is not None and column(history, name)]
    if len(history) < FOREST_ROWS or not names:
        return Finding(score=0)
    places = [NAMES.index(name) for name in names]
    rows = [[row(each)[place] for place in places] for each in history]
    forest = Forest.fit(rows, names)
    found = forest.observe(_NO_TIME, [row(features)[place] for place in places])
    usual = max(_FOREST_LEAST, forest.odd - _FOREST_MIDDLE)
    score = squashed(max(0.0, found.score - _FOREST_MIDDLE) / (_FOREST_BEYOND * usual))
    if score < _ANOMALY:
        return Finding(score=score)
    reason = f"{' and '.join(found.metrics)} are together unlike {len(history)} runs before"
    return Finding(score=score, reasons=(reason,), metrics=found.metrics)


def by_z_scores(features: Features, history: Sequence[Features]) -> Finding:
    """Odd by itself: .5 is a modified z-score of 5 (Iglewicz and Hoaglin 1993: median and median absolute deviation)."""
    odd: list[tuple[float, str, str]] = []
    for name in NAMES:
        value, known = getattr(features, name), column(history, name)
        if value is None or len(known) < SCORE_ROWS:
            continue
        middle = median(known)
        away = median(abs(each - middle) for each in known) / _NORMAL_MAD
        z = (value - middle) / max(away, _MATTERS[name], _PART * abs(middle))
        told = f"{name} is {shown(value)}, {shown(round(abs(z), 1))} deviations {'above' if z > 0 else 'below'} {shown(middle)}"
        odd.append((max(0.0, z) if name in _ONLY_ABOVE else abs(z), name, told))
    odd.sort(key=lambda each: -each[0])
    beyond = [each for each in odd if each[0] >= _ODD_Z]
    return Finding(
        score=squashed(odd[0][0] / _ODD_Z) if odd else 0,
        reasons=tuple(told for _, _, told in beyond),
        metrics=tuple(name for _, name, _ in beyond),
    )


def by_rules(features: Features, rules: Sequence[Rule]) -> Finding:
    """The highest score of a broken rule, with the reasons of all that are broken."""
    broken = [(rule, told) for rule in rules if (told := rule.breach(features))]
    broken.sort(key=lambda pair: -pair[0].score)
    return Finding(
        score=broken[0][0].score if broken else 0,
        reasons=tuple(told for _, told in broken),
        metrics=tuple(dict.fromkeys(rule.feature for rule, _ in broken)),
    )


def by_errors(features: Features, history: Sequence[Features]) -> Finding:
    """An error that repeats: how unlikely so many of one signature are after how often it came in each row of history."""
    often = [each for each in Counter(features.error_signatures).most_common(_SIGNATURES) if each[1] >= _REPEATED]
    odd = sorted(((_rarity(signature, times, history), signature, times) for signature, times in often), reverse=True)
    beyond = [f"the error {signature} came {times} times" for score, signature, times in odd if score >= _ANOMALY]
    return Finding(score=odd[0][0] if odd else 0, reasons=tuple(beyond), metrics=("error_signatures",) if beyond else ())


def _rarity(signature: str, times: int, history: Sequence[Features]) -> float:
    rate = Rate(prior=_USUAL_ERRORS)
    for each in history:
        rate.learn(each.error_signatures.count(signature))
    return rarity(rate.chance(times))
