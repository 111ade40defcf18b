"""Plans and permission: choose a fix, ask policy, ask people, and end the story in the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from domain.approval import GrantStanding, Settled, Standing
from domain.base import IncidentId
from domain.incident import Incident
from domain.plan import PlanState
from domain.preflight import DryRuns, Preflighted
from domain.recovery import RecoveryFinished
from domain.refs import IncidentEnd, IncidentRef, MonitorRef, PlanRef, PlanWish, RecoveryRef, RequestRef

if TYPE_CHECKING:
    from services.asking import Asking
    from services.deciding import Deciding
    from services.incidents import Incidents
    from services.monitors import Monitors
    from services.planning import Planning
    from services.ports import Metrics
    from services.preflights import Preflights
    from services.recovery import Recovery


class Governance:
    queue = "io"

    def __init__(
        self,
        incidents: Incidents,
        planning: Planning,
        preflights: Preflights,
        asking: Asking,
        deciding: Deciding,
        recovery: Recovery,
        monitors: Monitors,
        metrics: Metrics,
    ) -> None:
        self._incidents = incidents
        self._planning = planning
        self._preflights = preflights
        self._asking = asking
        self._deciding = deciding
        self._recovery = recovery
        self._monitors = monitors
        self._metrics = metrics

    @activity.defn
    async def look_at_incident(self, ref: IncidentRef) -> Incident:
        return await self._incidents.look(ref, by=activity.info().workflow_id or "")

    @activity.defn
    async def close_incident(self, end: IncidentEnd) -> None:
        await self._incidents.close(end.incident, end.status, by=activity.info().workflow_id or "")

    @activity.defn
    async def judge_anomalies(self, ref: MonitorRef) -> IncidentId | None:
        return await self._monitors.judge(ref)

    @activity.defn
    async def plan_fix(self, wish: PlanWish) -> PlanState | None:
        return await self._planning.heal(wish.incident, carrier=wish.carrier, supersedes=wish.supersedes)

    @activity.defn
    async def plan_again(self, ref: PlanRef) -> PlanState | None:
        return await self._planning.again(ref)

    @activity.defn
    async def look_at_plan(self, ref: PlanRef) -> PlanState:
        return await self._planning.look(ref)

    @activity.defn
    async def judge_preflight(self, runs: DryRuns) -> Preflighted:
        judged = await self._preflights.judge(runs)
        self._metrics.preflight_judged(judged.tier, passed=judged.passed)
        return judged

    @activity.defn
    async def grant_alone(self, ref: PlanRef) -> None:
        await self._deciding.grant_alone(ref)

    @activity.defn
    async def open_approval(self, ref: PlanRef) -> Standing:
        return await self._asking.open(ref)

    @activity.defn
    async def tend_approval(self, ref: PlanRef) -> Standing:
        return await self._asking.tend(ref)

    @activity.defn
    async def withdraw_plan(self, ref: PlanRef) -> None:
        await self._asking.withdraw(ref)

    @activity.defn
    async def settle_request(self, ref: RequestRef) -> Settled:
        return await self._deciding.settle(ref)

    @activity.defn
    async def look_at_grant(self, ref: PlanRef) -> GrantStanding:
        return await self._asking.tend_grant(ref)

    @activity.defn
    async def plan_recovery(self, ref: RecoveryRef) -> PlanRef:
        return await self._recovery.plan(ref)

    @activity.defn
    async def finish_recovery(self, end: RecoveryFinished) -> None:
        await self._recovery.finish(end.recovery, end.outcome)
