"""What came of acting: snapshots before, receipts of each step, the verdict, how the story ends."""

from datetime import timedelta
from enum import StrEnum

from pydantic import JsonValue

from domain.base import CommandId, Digest, Instant, PlanId, Value
from domain.incident import Status
from domain.plan import Direction, PlanStatus
from domain.refs import PlanRef


class Snapshot(Value):
    plan: PlanId
    target: str
    version: str
    content: dict[str, JsonValue]


class StepResult(Value):
    """What a runner says about one command; `version` is the target's version after it."""

    exit_code: int
    output: str
    version: str


class Receipt(Value):
    """The record of one executed step, signed when it is written and never changed."""

    command: CommandId
    key: str
    direction: Direction
    argv: tuple[str, ...]
    exit_code: int
    output_digest: Digest
    head: str
    tail: str
    version: str
    adopted: bool = False
    started_at: Instant
    ended_at: Instant


class StepOutcome(StrEnum):
    """What came of one step: `nothing` where there is no command, `unknown` where only a person can find out,
    `untouched` where nobody took it up or it was refused."""

    DONE = "done"
    FAILED = "failed"
    NOTHING = "nothing"
    STOPPED = "stopped"
    STALE = "stale"
    UNTOUCHED = "untouched"
    UNKNOWN = "unknown"


class VerdictOutcome(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, no secret
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Verdict(Value):
    """Whether the fix did what it promised; missing data is never a pass."""

    plan: PlanId
    outcome: VerdictOutcome
    reason: str
    samples: int


class RemediationOutcome(StrEnum):
    VERIFIED = "verified"
    ROLLED_BACK = "rolled_back"
    STALE = "stale"
    STOPPED = "stopped"
    INCONCLUSIVE = "inconclusive"
    UNDO_FAILED = "undo_failed"
    EXPIRED = "expired"
    REVOKED = "revoked"

    @property
    def plan_status(self) -> PlanStatus:
        match self:
            case RemediationOutcome.VERIFIED:
                return PlanStatus.VERIFIED
            case RemediationOutcome.ROLLED_BACK:
                return PlanStatus.ROLLED_BACK
            case RemediationOutcome.STALE:
                return PlanStatus.SUPERSEDED
            case RemediationOutcome.EXPIRED:
                return PlanStatus.EXPIRED
            case RemediationOutcome.REVOKED:
                return PlanStatus.REJECTED
            case RemediationOutcome.STOPPED | RemediationOutcome.INCONCLUSIVE | RemediationOutcome.UNDO_FAILED:
                return PlanStatus.NEEDS_HUMAN

    @property
    def incident_status(self) -> Status:
        match self:
            case RemediationOutcome.VERIFIED:
                return Status.VERIFIED
            case RemediationOutcome.ROLLED_BACK:
                return Status.ROLLED_BACK
            case RemediationOutcome.STALE:
                return Status.PLANNING
            case RemediationOutcome.EXPIRED:
                return Status.EXPIRED
            case RemediationOutcome.REVOKED:
                return Status.REJECTED
            case RemediationOutcome.STOPPED | RemediationOutcome.INCONCLUSIVE | RemediationOutcome.UNDO_FAILED:
                return Status.NEEDS_HUMAN


class Begun(Value):
    """What the workflow needs to know of a remediation that may start, or why it may not."""

    outcome: RemediationOutcome | None = None
    reason: str = ""
    steps: tuple[int, ...] = ()
    environment: str = ""
    lease: timedelta = timedelta(seconds=30)
    verify_within: timedelta = timedelta(minutes=30)
    judge_by: Instant | None = None


class StepRef(Value):
    """One step of one plan in one direction."""

    plan: PlanRef
    step: int
    direction: Direction


class VerifyLook(Value):
    """One look at the evidence; from `judge_by` on, by the database's clock, it judges with what there is."""

    plan: PlanRef
    judge_by: Instant | None = None


class RemediationEnd(Value):
    plan: PlanRef
    outcome: RemediationOutcome
