"""Long work that was accepted, as whoever asked for it looks at it: a run, or the replay of one."""

from enum import StrEnum
from typing import assert_never

from domain.base import Instant, OperationId, Value
from domain.execution import Execution, RunStatus
from domain.recovery import RecoveryEvent, RecoveryOutcome


class OperationStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Operation(Value):
    """Its id is that of the work with another prefix, so it exists exactly if the work does, and ends when that ends."""

    id: OperationId
    kind: str
    status: OperationStatus
    resource_type: str
    resource_id: str
    created_at: Instant | None
    updated_at: Instant | None


def of_run(run: Execution) -> Operation:
    """A run that waits for its healing is running still."""
    return Operation(
        id=OperationId.of(run.id),
        kind="run",
        status=_run_status(run.status),
        resource_type="execution",
        resource_id=run.id.shown,
        created_at=run.created_at,
        updated_at=run.finished_at or run.started_at or run.created_at,
    )


def of_replay(event: RecoveryEvent) -> Operation:
    """What is there to look at is the plan it goes by; before that is made, the run it is about."""
    of_plan = ("plan", event.plan.shown) if event.plan else ("execution", event.execution.shown)
    return Operation(
        id=OperationId.of(event.id),
        kind="replay",
        status=_replay_status(event.outcome),
        resource_type=of_plan[0],
        resource_id=of_plan[1],
        created_at=event.created_at,
        updated_at=event.replayed_at or event.created_at,
    )


def _run_status(status: RunStatus) -> OperationStatus:
    match status:
        case RunStatus.PENDING | RunStatus.RUNNING | RunStatus.WAITING:
            return OperationStatus.RUNNING
        case RunStatus.SUCCEEDED:
            return OperationStatus.SUCCEEDED
        case RunStatus.FAILED | RunStatus.CANCELLED:
            return OperationStatus.FAILED
    assert_never(status)


def _replay_status(outcome: RecoveryOutcome | None) -> OperationStatus:
    match outcome:
        case None:
            return OperationStatus.RUNNING
        case RecoveryOutcome.RECOVERED:
            return OperationStatus.SUCCEEDED
        case RecoveryOutcome.FAILED_AGAIN | RecoveryOutcome.REFUSED | RecoveryOutcome.UNKNOWN:
            return OperationStatus.FAILED
    assert_never(outcome)
