"""A recovery: a failed run that somebody asked to replay, and what came of it."""

from enum import StrEnum

from domain.base import ExecutionId, Instant, PlanId, PrincipalId, RecoveryId, Value
from domain.refs import RecoveryRef


class RecoveryOutcome(StrEnum):
    RECOVERED = "recovered"
    FAILED_AGAIN = "failed_again"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class RecoveryEvent(Value):
    id: RecoveryId
    execution: ExecutionId
    strategy: str
    retry_count: int
    dlq_reason: str
    requested_by: PrincipalId
    plan: PlanId | None = None
    replayed_at: Instant | None = None
    outcome: RecoveryOutcome | None = None
    created_at: Instant | None = None


class RecoveryFinished(Value):
    recovery: RecoveryRef
    outcome: RecoveryOutcome
