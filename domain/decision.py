"""Decision records: what a model, a policy, the planner or a person decided, on what inputs."""

from enum import StrEnum

from pydantic import Field, JsonValue

from domain.base import DecisionId, Digest, ExecutionId, IncidentId, Instant, PlanId, PrincipalId, Value


class DecisionType(StrEnum):
    DIAGNOSIS = "diagnosis"
    PLAN = "plan"
    POLICY = "policy"
    VERDICT = "verdict"


class DecisionRecord(Value):
    id: DecisionId | None = None
    incident: IncidentId | None = None
    execution: ExecutionId | None = None
    plan: PlanId | None = None
    type: DecisionType
    model: str
    inputs_hash: Digest
    confidence: float | None = Field(default=None, ge=0, le=1)
    threshold: float | None = None
    decision: str
    reason_codes: tuple[str, ...] = ()
    explanation: str
    details: dict[str, JsonValue] = Field(default_factory=dict)
    reviewer: PrincipalId | None = None
    trace_id: str | None = None
    created_at: Instant | None = None
