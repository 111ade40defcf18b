"""Begin to execute a granted plan: check everything once more, and use the grant, once."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM
from domain.approval import Grant, GrantStatus
from domain.errors import ForbiddenError, GrantUsedError
from domain.incident import Status
from domain.outcome import Begun, RemediationOutcome
from domain.plan import FixPlan, Mode, PlanState, PlanStatus
from domain.preflight import Preflight
from domain.refs import PlanRef
from services.decisions import Decisions
from services.ledger import Ledger
from services.plan_entries import enter
from services.recheck import Recheck
from services.rights import check_ordered
from services.targets import verify_within
from services.weighing import Versions, Weighed, Weighing
from storage import approvals, incidents, plans
from storage.engine import Database, now, repeatable


class Beginning:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        decisions: Decisions,
        recheck: Recheck,
        weighing: Weighing,
        *,
        lease: timedelta,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._decisions = decisions
        self._recheck = recheck
        self._weighing = weighing
        self._lease = lease

    @repeatable
    async def begin(self, ref: PlanRef, *, by: str | None = None) -> Begun:
        """Use the grant, once, if the world is still the one that was approved; `by` names the workflow that asks.

        Raises:
            GrantUsedError: another remediation has used it, or it is over.
            ForbiddenError: the plan waits for an operator's word, and nobody who may has given it, or another workflow
                than the plan's own asks.
            UnavailableError: policy cannot be asked, so nothing is decided.
        """
        plan, preflight = await self._asked_for(ref)
        found = await self._recheck.versions(plan)
        weighed = await self._weighing.weigh(plan, preflight.dry_runs, found) if preflight else None
        try:
            return await self._use_grant(ref, weighed, found, is_own=by in {None, ref.workflow_id})
        except (GrantUsedError, ForbiddenError) as refusal:
            async with self._database.transaction(ref.org) as session:
                plan = (await plans.get(session, ref.id)).plan
                await enter(
                    self._ledger, session, plan, "remediation.refused", SYSTEM, {"code": refusal.code, "reason": str(refusal)}
                )
            raise

    @repeatable
    async def _use_grant(self, ref: PlanRef, weighed: Weighed | None, found: Versions, *, is_own: bool) -> Begun:
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            grant = await approvals.grant_of(session, ref.id)
            if grant is None:
                raise GrantUsedError("the plan has no grant")
            if grant.status is GrantStatus.CONSUMED and is_own:
                return await self._begun_before(session, ref, state, grant)
            if not is_own:
                kind = GrantUsedError if grant.status is GrantStatus.CONSUMED else ForbiddenError
                raise kind("only the plan's own remediation acts on it")
            if weighed is not None:
                await self._record_weighing(session, state, weighed)
            if (refused := await self._refused(session, state, grant, weighed, found)) is not None:
                return refused
            if state.plan.mode is Mode.SUGGEST:
                await check_ordered(session, ref.id)
            is_as_granted = state.status is PlanStatus.GRANTED and grant.digest == state.digest
            if not is_as_granted or not await approvals.consume_grant(session, grant.id, by=ref.workflow_id):
                raise GrantUsedError(f"the plan is {state.status}, its grant {grant.status}: there is nothing to execute")
            await plans.set_status(session, ref.id, PlanStatus.EXECUTING)
            await incidents.progress(session, state.plan.incident, Status.EXECUTING)
            await enter(
                self._ledger,
                session,
                state.plan,
                "remediation.started",
                SYSTEM,
                {"grant": grant.id.shown, "digest": state.digest},
            )
            return await self._begun(session, state.plan)

    async def _refused(
        self, session: AsyncSession, state: PlanState, grant: Grant, weighed: Weighed | None, found: Versions
    ) -> Begun | None:
        """Why an unused grant cannot be used any more, after it has been ended for that reason."""
        if (over := _over(state, grant)) is not None:
            return over
        if grant.execute_by <= await now(session):
            await approvals.end_grant(session, grant.id, GrantStatus.EXPIRED)
            await enter(self._ledger, session, state.plan, "grant.expired", SYSTEM, {"grant": grant.id.shown})
            return Begun(outcome=RemediationOutcome.EXPIRED, reason="nobody executed the plan in time")
        reason = await self._recheck.stop_reason(session, state.plan) or await self._recheck.moot_reason(session, state)
        if reason is not None:
            return await self._void(session, state.plan, grant, RemediationOutcome.STOPPED, reason)
        if (reason := await self._recheck.stale_reason(session, state.plan, grant, weighed, found)) is not None:
            return await self._void(session, state.plan, grant, RemediationOutcome.STALE, reason)
        return None

    async def _void(
        self, session: AsyncSession, plan: FixPlan, grant: Grant, outcome: RemediationOutcome, reason: str
    ) -> Begun:
        await approvals.end_grant(session, grant.id, GrantStatus.VOID)
        await plans.set_status(session, plan.id, outcome.plan_status)
        await enter(self._ledger, session, plan, f"plan.{outcome}", SYSTEM, {"reason": reason})
        return Begun(outcome=outcome, reason=reason)

    async def _asked_for(self, ref: PlanRef) -> tuple[FixPlan, Preflight | None]:
        """The plan, and its preflight where policy is worth asking: its grant can still be used."""
        async with self._database.transaction(ref.org) as session:
            plan, grant = (await plans.get(session, ref.id)).plan, await approvals.grant_of(session, ref.id)
            is_usable = grant is not None and grant.status is GrantStatus.UNUSED and grant.execute_by > await now(session)
            return plan, await plans.latest_preflight(session, ref.id) if is_usable else None

    async def _record_weighing(self, session: AsyncSession, state: PlanState, weighed: Weighed) -> None:
        record = weighed.record(state.plan, weighed.tier, weighed.reasons)
        await self._decisions.record(session, state.plan.org, record)

    async def _begun_before(self, session: AsyncSession, ref: PlanRef, state: PlanState, grant: Grant) -> Begun:
        """The answer that got lost on its way; whatever else asks with a used grant is a replay.

        Raises:
            GrantUsedError: another remediation has used it, or this one has ended.
        """
        if grant.consumed_by != ref.workflow_id or state.status is not PlanStatus.EXECUTING:
            raise GrantUsedError(f"the grant is {grant.status}; a retry needs a new approval")
        return await self._begun(session, state.plan)

    async def _begun(self, session: AsyncSession, plan: FixPlan) -> Begun:
        within = await verify_within(session, plan)
        return Begun(
            steps=tuple(step.index for step in plan.steps),
            environment=plan.environment,
            lease=self._lease,
            verify_within=within,
            judge_by=await now(session) + within,
        )


def _over(state: PlanState, grant: Grant) -> Begun | None:
    """What a grant that has been ended means for its plan."""
    match grant.status:
        case GrantStatus.REVOKED:
            return Begun(outcome=RemediationOutcome.REVOKED, reason="the grant was revoked")
        case GrantStatus.EXPIRED:
            return Begun(outcome=RemediationOutcome.EXPIRED, reason="nobody executed the plan in time")
        case GrantStatus.VOID:
            is_stale = state.status is PlanStatus.SUPERSEDED
            outcome = RemediationOutcome.STALE if is_stale else RemediationOutcome.STOPPED
            return Begun(outcome=outcome, reason="the grant is void")
        case GrantStatus.UNUSED | GrantStatus.CONSUMED:
            return None
