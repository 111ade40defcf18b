"""Evidence and what it supports: no hypothesis without evidence, no diagnosis without saying what was not checked."""

from enum import StrEnum
from typing import Self

from pydantic import Field, JsonValue, model_validator

from domain.base import EvidenceId, HypothesisId, Instant, Value


class EvidenceKind(StrEnum):
    """A kind is an independent way to know: what one source says twice is said once."""

    EXECUTION = "execution"
    LOG = "log"
    CHANGE = "change"
    HISTORY = "history"


class Evidence(Value):
    id: EvidenceId
    kind: EvidenceKind
    ref: dict[str, JsonValue]
    excerpt: str = Field(max_length=2_000)
    score: float = Field(ge=0, le=1)


class Cause(StrEnum):
    CONFIGURATION_DRIFT = "configuration_drift"
    CODE_CHANGE = "code_change"
    DEPENDENCY_DOWN = "dependency_down"
    CONNECTION_OR_AUTH = "connection_or_auth"
    RESOURCE_BOTTLENECK = "resource_bottleneck"
    SCHEMA_OR_DATA = "schema_or_data"
    TIMEOUT = "timeout"
    FAILING_STAGE = "failing_stage"


class Hypothesis(Value):
    """A cause with the evidence for and against it.

    `facts` are what a plan may build on: they come from rows and records, never from a log's text.
    """

    id: HypothesisId
    cause: Cause
    statement: str
    confidence: float = Field(ge=0, le=1)
    support: tuple[EvidenceId, ...]
    counter: tuple[EvidenceId, ...] = ()
    why_not: str | None = None
    facts: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _cites(self) -> Self:
        if not self.support:
            raise ValueError("a hypothesis needs at least one piece of evidence")
        return self


class Diagnosis(Value):
    """Ranked hypotheses, the likeliest first; none is an honest answer."""

    hypotheses: tuple[Hypothesis, ...]
    evidence: tuple[Evidence, ...]
    not_checked: tuple[str, ...] = ()
    at: Instant

    @property
    def top(self) -> Hypothesis | None:
        return self.hypotheses[0] if self.hypotheses else None

    def kinds(self, hypothesis: Hypothesis) -> frozenset[EvidenceKind]:
        """The independent kinds of evidence that support `hypothesis`."""
        return frozenset(piece.kind for piece in self.evidence if piece.id in hypothesis.support)
