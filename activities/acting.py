"""The records of a remediation: use the grant, judge, end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.ownership import check_is_its_own
from domain.outcome import Begun, RemediationEnd, VerdictOutcome, VerifyLook
from domain.refs import PlanRef

if TYPE_CHECKING:
    from services.ports import Metrics
    from services.remediation import Remediation


class Acting:
    queue = "io"

    def __init__(self, remediation: Remediation, metrics: Metrics) -> None:
        self._remediation = remediation
        self._metrics = metrics

    @activity.defn
    async def begin_remediation(self, ref: PlanRef) -> Begun:
        return await self._remediation.begin(ref, by=activity.info().workflow_id)

    @activity.defn
    async def is_stopped(self, ref: PlanRef) -> bool:
        return await self._remediation.is_stopped(ref)

    @activity.defn
    async def verify(self, look: VerifyLook) -> VerdictOutcome | None:
        verdict = await self._remediation.verify(look.plan, judge_by=look.judge_by)
        return verdict.outcome if verdict else None

    @activity.defn
    async def end_remediation(self, end: RemediationEnd) -> None:
        check_is_its_own(end.plan)
        await self._remediation.finish(end.plan, end.outcome)
        self._metrics.remediation_ended(end.outcome)
