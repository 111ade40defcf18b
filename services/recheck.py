"""Whether a granted plan is still the one that was approved, in the world it was approved for, by people who may."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approval import ApprovalStatus, Choice, Grant, check_may_decide
from domain.errors import ForbiddenError, StoppedError
from domain.identity import SwitchScope
from domain.plan import FixPlan, PlanState
from services.guard import Guard
from services.ports import Runner
from services.rights import excluded
from services.weighing import Versions, Weighed, versions_of
from storage import approvals, incidents, plans, tokens
from storage import identity as identities


class Recheck:
    def __init__(self, guard: Guard, runners: Mapping[str, Runner]) -> None:
        self._guard = guard
        self._runners = runners

    async def versions(self, plan: FixPlan) -> Versions:
        """The version of each target, or nothing where the plan's runner is not here."""
        runner = self._runners.get(plan.runner)
        return await versions_of(runner, plan) if runner else {}

    async def check_may_act(self, session: AsyncSession, plan: FixPlan) -> None:
        """Raises StoppedError: a switch that covers the plan is engaged."""
        incident = await incidents.get(session, plan.incident)
        await self._guard.check_may_act(session, plan.org, SwitchScope(workflow=incident.service, action=plan.action))

    async def stop_reason(self, session: AsyncSession, plan: FixPlan) -> str | None:
        """The engaged switch that covers the plan."""
        try:
            await self.check_may_act(session, plan)
        except StoppedError as error:
            return str(error)
        return None

    async def moot_reason(self, session: AsyncSession, state: PlanState) -> str | None:
        """Why nobody needs the plan any more: its incident has ended since the plan was made."""
        incident = await incidents.get(session, state.plan.incident)
        if incident.ended_at is None or incident.ended_at < state.created_at:
            return None
        return f"the incident has ended as {incident.status}"

    async def stale_reason(
        self, session: AsyncSession, plan: FixPlan, grant: Grant, weighed: Weighed | None, found: Versions
    ) -> str | None:
        """What is no longer as it was approved; `weighed` is what policy says today."""
        if plan.digest != grant.digest:
            return "the plan is no longer the one that was approved"
        if (reason := await self._policy_reason(session, plan, weighed)) is not None:
            return reason
        runner = self._runners.get(plan.runner)
        if runner is None or runner.version != plan.runner_version:
            return "the plan's runner has changed"
        for target in plan.targets:
            version = found.get(target.key)
            if version is None:
                return f"{target.name} is gone"
            if version != target.version:
                return f"{target.name} is at {version}, the plan was made for {target.version}"
        return await self._authority_lost(session, plan, grant)

    async def _policy_reason(self, session: AsyncSession, plan: FixPlan, weighed: Weighed | None) -> str | None:
        preflight = await plans.latest_preflight(session, plan.id)
        if weighed is None or preflight is None:
            return "no preflight of the plan counts any more"
        revision = weighed.autonomy.revision
        if revision != plan.policy_revision:
            return f"policy is at revision {revision}, the plan was made under {plan.policy_revision}"
        return weighed.stricter_reason(preflight.tier)

    async def _authority_lost(self, session: AsyncSession, plan: FixPlan, grant: Grant) -> str | None:
        """Why the people who agreed no longer may."""
        if grant.approval is None:
            org = await identities.get_org(session, plan.org)
            return None if org.automatic_released else "the automatic mode is held"
        approval = await approvals.get(session, grant.approval)
        if approval.status is not ApprovalStatus.APPROVED:
            return f"the approval is {approval.status}"
        approval = approval.model_copy(update={"excluded": await excluded(session, plan)})
        for decision in approval.decisions:
            if decision.choice is not Choice.APPROVE:
                continue
            request = await approvals.get_request(session, decision.request)
            by = await identities.get_principal(session, decision.principal)
            token = await tokens.get_for_update(session, request.token)
            if token.revoked_at is not None:
                return "the token behind an approval has been revoked"
            try:
                check_may_decide(approval, by, token.issuer)
            except ForbiddenError as error:
                return f"an approver may no longer approve: {error}"
        return None
