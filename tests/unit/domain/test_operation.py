"""An operation says of a run and of a replay how they stand, in three words."""

from datetime import UTC, datetime

import pytest

from domain.base import ExecutionId, OrgId, PipelineId, PlanId, PrincipalId, RecoveryId
from domain.execution import Execution, RunStatus
from domain.operation import of_replay, of_run
from domain.recovery import RecoveryEvent, RecoveryOutcome

AT = datetime(2026, 11, 24, tzinfo=UTC)
RUN = Execution(
    id=ExecutionId(int=7), org=OrgId(int=1), pipeline=PipelineId(int=2), status=RunStatus.PENDING, config_version=1,
    started_by=PrincipalId(int=3), created_at=AT,
)  # fmt: skip
REPLAY = RecoveryEvent(
    id=RecoveryId(int=8), execution=RUN.id, strategy="replay", retry_count=1, dlq_reason="x", requested_by=RUN.started_by,
    created_at=AT,
)  # fmt: skip


@pytest.mark.parametrize("status", RunStatus)
def test_a_run_that_has_not_ended_is_running(status: RunStatus) -> None:
    """Waiting for a healing, too; a run that was cancelled has failed."""
    ended = "succeeded" if status is RunStatus.SUCCEEDED else "failed"
    assert of_run(RUN.model_copy(update={"status": status})).status == (ended if status.is_final else "running")


@pytest.mark.parametrize("outcome", [None, *RecoveryOutcome])
def test_a_replay_succeeds_when_its_run_recovers(outcome: RecoveryOutcome | None) -> None:
    """Every other end is a failure."""
    expected = {None: "running", RecoveryOutcome.RECOVERED: "succeeded"}.get(outcome, "failed")
    assert of_replay(REPLAY.model_copy(update={"outcome": outcome})).status == expected


def test_an_operation_leads_to_what_there_is_to_see() -> None:
    """The run, or the plan that replays it once there is one; its id is the work's own."""
    planned = of_replay(REPLAY.model_copy(update={"plan": PlanId(int=9)}))
    assert of_run(RUN).resource_id == of_replay(REPLAY).resource_id == RUN.id.shown
    assert (planned.resource_type, planned.resource_id) == ("plan", PlanId(int=9).shown)
    assert of_run(RUN).id.shown == RUN.id.shown.replace("exe_", "opr_")
