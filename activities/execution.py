"""What touches targets: stages, dry-runs and steps, on the pool that has an environment's credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.ownership import check_is_its_own
from domain.execution import Tried
from domain.outcome import StepOutcome, StepRef
from domain.preflight import DryRuns
from domain.refs import PlanRef, StageRef

if TYPE_CHECKING:
    from services.preflights import Preflights
    from services.remediation import Remediation
    from services.stages import Stages


class Execution:
    queue = "execute-{environment}"

    def __init__(self, stages: Stages, preflights: Preflights, remediation: Remediation) -> None:
        self._stages = stages
        self._preflights = preflights
        self._remediation = remediation

    @activity.defn
    async def run_stage(self, ref: StageRef) -> Tried:
        return await self._stages.run(ref, heartbeat=activity.heartbeat)

    @activity.defn
    async def settle_stage(self, ref: StageRef) -> Tried:
        return await self._stages.settle(ref, heartbeat=activity.heartbeat)

    @activity.defn
    async def rehearse(self, ref: PlanRef) -> DryRuns:
        return await self._preflights.dry_run(ref, heartbeat=activity.heartbeat)

    @activity.defn
    async def prepare_targets(self, ref: PlanRef) -> None:
        check_is_its_own(ref)
        await self._remediation.prepare(ref)

    @activity.defn
    async def run_step(self, ref: StepRef) -> StepOutcome:
        check_is_its_own(ref.plan)
        return await self._remediation.step(ref)
