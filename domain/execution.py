"""An execution of a pipeline: one run, its stages' attempts, and whether it waits for its healing."""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain.base import Digest, ExecutionId, IncidentId, Instant, OrgId, PipelineId, PlanId, PrincipalId, Value
from domain.refs import RunRef
from domain.stage import StageResult, SupervisorHandle


class RunStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}


def may_follow(before: RunStatus, after: RunStatus) -> bool:
    """Whether a run has this move: one that has ended goes on only by a replay, which it waits for; a success stays one."""
    match after:
        case RunStatus.PENDING:
            return before is RunStatus.PENDING
        case RunStatus.RUNNING:
            return not before.is_final
        case RunStatus.WAITING:
            return before is not RunStatus.SUCCEEDED
        case RunStatus.SUCCEEDED:
            return before in {RunStatus.RUNNING, RunStatus.SUCCEEDED}
        case RunStatus.FAILED | RunStatus.CANCELLED:
            return not before.is_final or before is after


class Execution(Value):
    id: ExecutionId
    org: OrgId
    pipeline: PipelineId
    status: RunStatus
    config_version: int
    started_by: PrincipalId
    failed_stage: str | None = None
    incident: IncidentId | None = None
    heal_by: Instant | None = None
    created_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    error_code: str | None = None
    error_message: str | None = None
    trace_id: str | None = None


class AttemptKind(StrEnum):
    RUN = "run"
    PROBE = "probe"
    DRY_RUN = "dry_run"


class AttemptStatus(StrEnum):
    """`intent` and `started` are open; a lost one's worker is gone; a refused one never started."""

    INTENT = "intent"
    STARTED = "started"
    PASSED = "passed"
    FAILED = "failed"
    RETRY = "retry"
    LOST = "lost"
    REFUSED = "refused"

    @property
    def is_open(self) -> bool:
        return self in {AttemptStatus.INTENT, AttemptStatus.STARTED}


class Attempt(Value):
    """One try at one stage; `claim` names the worker that holds it, and only that one may end it."""

    org: OrgId
    execution: ExecutionId
    stage: str
    number: int
    kind: AttemptKind
    status: AttemptStatus
    config_version: int
    step_key: str
    step_version: Digest
    claim: UUID
    supervisor: SupervisorHandle | None = None
    lease_until: Instant | None = None
    result: StageResult | None = None
    note: str | None = None
    created_at: Instant | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None

    @property
    def has_acted(self) -> bool:
        """Whether the stage itself began, so that its effect may be there."""
        return self.kind is AttemptKind.RUN and self.started_at is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether it began and did not end well."""
        return self.has_acted and self.status is not AttemptStatus.PASSED

    @property
    def said(self) -> str:
        """The last words of the attempt: of its process, or of whoever could not start it."""
        return (self.result.tail or self.result.head) if self.result else self.note or ""


class StageTask(Value):
    """What the workflow needs to know of one stage."""

    name: str
    timeout: timedelta
    attempts: int
    backoff: timedelta


class RunTask(Value):
    """How to go on with a run: the stages left, from the first that is not done."""

    environment: str
    stages: tuple[StageTask, ...]
    cursor: int
    lease: timedelta
    heal_within: timedelta = timedelta(hours=24)
    is_over: bool = False
    is_waiting: bool = False


class Tried(StrEnum):
    """What one try at a stage came to: `unknown` is about the effect, not the code; `unserved` never had a worker."""

    PASSED = "passed"
    FAILED = "failed"
    RETRY = "retry"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"
    STOPPED = "stopped"
    FORBIDDEN = "forbidden"
    UNSERVED = "unserved"


class Unserved(Value):
    """Work of a run or of a plan that no worker of its environment has taken up since then."""

    org: OrgId
    environment: str
    stage: str
    since: Instant
    execution: ExecutionId | None = None
    plan: PlanId | None = None


class HealingState(StrEnum):
    WAITING = "waiting"
    RESUME = "resume"
    OVER = "over"


class Healing(Value):
    """Where a failed run stands: it waits until `heal_by`, may go on at a stage, or is over."""

    state: HealingState
    look_again_in: timedelta = timedelta(hours=1)


class Failure(Value):
    """A stage that has spent its attempts, or whose effect nobody knows."""

    ref: RunRef
    stage: str
    error_code: str
