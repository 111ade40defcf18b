"""The right of one waiting run to go on, from which stage, with which version, and what came of it."""

from enum import StrEnum

from domain.base import ExecutionId, IncidentId, Instant, PlanId, ResumptionId, Value


class ResumptionOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"


class Resumption(Value):
    """Made by the last step of a plan under its grant, or, without a plan, when a verdict has passed.

    The run goes on at `from_stage`; the result of `until_stage`, the stage that had failed, is the outcome.
    """

    id: ResumptionId
    execution: ExecutionId
    plan: PlanId | None
    incident: IncidentId
    key: str
    from_stage: str
    until_stage: str
    config_version: int
    outcome: ResumptionOutcome | None = None
    created_at: Instant | None = None
