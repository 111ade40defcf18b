"""An incident: one story of something broken, from its first signal to its end."""

from enum import StrEnum

from pydantic import Field, JsonValue

from domain.base import ExecutionId, IncidentId, Instant, OrgId, Value, WorkflowId


class Severity(StrEnum):
    SEV1 = "sev1"
    SEV2 = "sev2"
    SEV3 = "sev3"
    SEV4 = "sev4"


class Status(StrEnum):
    OPEN = "open"
    DIAGNOSING = "diagnosing"
    PLANNING = "planning"
    PREFLIGHT = "preflight"
    AWAITING_APPROVAL = "awaiting_approval"
    EXECUTING = "executing"
    VERIFIED = "verified"
    ROLLED_BACK = "rolled_back"
    REJECTED = "rejected"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    NEEDS_HUMAN = "needs_human"
    RESOLVED = "resolved"


RESTED_AT = "rested_at_event"
CALM, FALSE_ALARM = "calm", "false_alarm"
"""Why it was resolved, when nothing was mended: it was over by itself, or a person says that it was none."""
ENDED = frozenset({Status.VERIFIED, Status.REJECTED, Status.EXPIRED, Status.RESOLVED})
RESTING = frozenset({Status.ROLLED_BACK, Status.BLOCKED, Status.NEEDS_HUMAN})
WORKING = frozenset(
    {Status.OPEN, Status.DIAGNOSING, Status.PLANNING, Status.PREFLIGHT, Status.AWAITING_APPROVAL, Status.EXECUTING}
)


def may_follow(before: Status, after: Status) -> bool:
    """Whether the story has this move: what has ended stays ended."""
    return before not in ENDED or after is before


class Incident(Value):
    id: IncidentId
    org: OrgId
    title: str
    signature: str
    service: str
    environment: str
    severity: Severity
    status: Status
    first_seen_at: Instant
    last_seen_at: Instant
    started_at: Instant
    ended_at: Instant | None = None
    event_count: int
    confidence: float | None = None
    workflow_id: WorkflowId | None = None
    carrier: str
    slo_impact: dict[str, JsonValue] = Field(default_factory=dict)
    meta: dict[str, JsonValue] = Field(default_factory=dict)
    waiting_runs: tuple[ExecutionId, ...] = ()
    is_carried_elsewhere: bool = False
    heal_by: Instant | None = None
    """When the last of the waiting runs gives up."""

    @property
    def is_at_rest(self) -> bool:
        """Whether a person has to look, and nothing has happened since the story came to that."""
        return self.status in RESTING and self.meta.get(RESTED_AT) == self.event_count


def severity_of(*, is_production: bool) -> Severity:
    return Severity.SEV2 if is_production else Severity.SEV4
