"""Ask people about a plan and wait for them: open, remind, escalate, expire, withdraw; the workflow's side of an approval."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actions.base import Action
from domain.actor import SYSTEM
from domain.approval import (
    Approval,
    ApprovalStatus,
    GrantStanding,
    GrantStatus,
    Standing,
)
from domain.base import ApprovalId, OrgId
from domain.errors import (
    ConflictError,
    StoppedError,
)
from domain.identity import SwitchScope
from domain.incident import Status
from domain.plan import CLOSED, PlanState, PlanStatus
from domain.policy import ApprovalFacts, ApprovalRule, Tier
from domain.refs import PlanRef
from services.decisions import Decisions, policy_record
from services.guard import Guard
from services.ledger import Ledger
from services.plan_entries import enter
from services.ports import Policy
from services.rights import check_valid, excluded
from services.weighing import plan_facts
from storage import approvals as store
from storage import audit, incidents, plans, remediations
from storage.engine import Database, new_id, now, repeatable

_WAITS_FOR_PEOPLE = frozenset({PlanStatus.DRAFT, PlanStatus.AWAITING_APPROVAL})


class Asking:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        guard: Guard,
        decisions: Decisions,
        policy: Policy,
        catalog: Mapping[str, Action],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._decisions = decisions
        self._guard = guard
        self._policy = policy
        self._catalog = catalog

    @repeatable
    async def open(self, ref: PlanRef) -> Standing:
        """Ask for a decision on the plan's digest; asking again changes nothing.

        Raises:
            UnavailableError: policy cannot say who may decide.
        """
        async with self._database.transaction(ref.org) as session:
            state = await plans.get(session, ref.id)
            preflight = await plans.latest_preflight(session, ref.id)
        if preflight is None or not preflight.passed or preflight.tier is not Tier.HUMAN:
            raise ConflictError("an approval is asked for only after a preflight that passed and needs people")
        facts = ApprovalFacts(plan=plan_facts(state.plan, preflight.dry_runs, self._catalog))
        rule = await self._policy.approval_rule(facts)
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            existing = await store.of_plan(session, ref.id)
            if existing is None:
                if state.status not in _WAITS_FOR_PEOPLE:
                    raise ConflictError(f"the plan is {state.status}: nobody is asked about it any more")
                await check_valid(session, preflight)
                approval = Approval(
                    id=ApprovalId.of(await new_id(session)),
                    plan=ref.id,
                    preflight=preflight.id,
                    digest=state.digest,
                    rule=rule,
                    excluded=await excluded(session, state.plan),
                    status=ApprovalStatus.OPEN,
                    opened_at=await now(session),
                )
                await self._add(session, ref.org, state, approval)
                record = policy_record(state.plan, [facts], rule.revision, _demands(rule))
                await self._decisions.record(session, ref.org, record)
            found = await store.of_plan(session, ref.id)
            return await self._standing(session, found or existing)  # type: ignore[arg-type]

    @repeatable
    async def tend(self, ref: PlanRef) -> Standing:
        """Remind, escalate or expire as the database's clock says, and withdraw when a switch is engaged."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            found = await store.of_plan(session, ref.id)
            if found is None:
                raise ConflictError("no approval was asked for")
            approval = await store.get_for_update(session, found.id)
            if approval.status is not ApprovalStatus.OPEN:
                return await self._standing(session, approval)
            if await self._is_moot(session, state):
                await self._close(session, state, approval, ApprovalStatus.WITHDRAWN, PlanStatus.BLOCKED)
                return await self._standing(session, await store.get(session, approval.id))
            if approval.outcome(await now(session)) is ApprovalStatus.EXPIRED:
                await self._close(session, state, approval, ApprovalStatus.EXPIRED, PlanStatus.EXPIRED)
            else:
                await self._nudge(session, state, approval)
            return await self._standing(session, await store.get(session, approval.id))

    @repeatable
    async def tend_grant(self, ref: PlanRef) -> GrantStanding:
        """Where the plan's grant stands; one that nobody used in time is over, and so is one that nobody needs any more."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            grant = await store.grant_of(session, ref.id)
            if grant is None:
                raise ConflictError("the plan has no grant")
            if grant.status is GrantStatus.UNUSED and await self._is_moot(session, state):
                await store.end_grant(session, grant.id, GrantStatus.VOID)
                await plans.set_status(session, ref.id, PlanStatus.BLOCKED)
                await enter(self._ledger, session, state.plan, "grant.void", SYSTEM, {"grant": grant.id.shown})
                return GrantStanding(status=GrantStatus.VOID, look_again_in=timedelta(seconds=1), is_moot=True)
            left = grant.execute_by - await now(session)
            if grant.status is GrantStatus.UNUSED and left <= timedelta(0):
                await store.end_grant(session, grant.id, GrantStatus.EXPIRED)
                await plans.set_status(session, ref.id, PlanStatus.EXPIRED)
                await enter(self._ledger, session, state.plan, "grant.expired", SYSTEM, {"grant": grant.id.shown})
                return GrantStanding(status=GrantStatus.EXPIRED, look_again_in=timedelta(seconds=1))
            return GrantStanding(status=grant.status, look_again_in=max(left, timedelta(seconds=1)))

    @repeatable
    async def withdraw(self, ref: PlanRef) -> None:
        """Nobody needs to decide any more: the story that asked has ended, and so has all that it held."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            found = await store.of_plan(session, ref.id)
            if found is not None and found.status is ApprovalStatus.OPEN:
                await self._close(session, state, found, ApprovalStatus.WITHDRAWN, PlanStatus.NEEDS_HUMAN)
            elif state.status not in CLOSED:
                await plans.set_status(session, ref.id, PlanStatus.NEEDS_HUMAN)
                await enter(self._ledger, session, state.plan, "plan.withdrawn", SYSTEM, {"status": PlanStatus.NEEDS_HUMAN})
            grant = await store.grant_of(session, ref.id)
            if grant is not None and await store.end_grant(session, grant.id, GrantStatus.VOID):
                await enter(self._ledger, session, state.plan, "grant.void", SYSTEM, {"grant": grant.id.shown})
            for target in state.plan.targets:
                await remediations.release_lease(session, target.key, holder=ref.workflow_id)

    async def _add(self, session: AsyncSession, org: OrgId, state: PlanState, approval: Approval) -> None:
        if not await store.add(session, org, approval):
            return
        await plans.set_status(session, state.plan.id, PlanStatus.AWAITING_APPROVAL)
        await incidents.progress(session, state.plan.incident, Status.AWAITING_APPROVAL)
        after = {"approval": approval.id.shown, "quorum": approval.rule.quorum, "digest": approval.digest}
        await enter(self._ledger, session, state.plan, "approval.opened", SYSTEM, after)

    async def _close(
        self, session: AsyncSession, state: PlanState, approval: Approval, status: ApprovalStatus, plan: PlanStatus
    ) -> None:
        if not await store.close(session, approval.id, status, by=None, notes=None):
            return
        await plans.set_status(session, state.plan.id, plan)
        await enter(self._ledger, session, state.plan, f"approval.{status}", SYSTEM, {"approval": approval.id.shown})

    async def _nudge(self, session: AsyncSession, state: PlanState, approval: Approval) -> None:
        """Write each reminder and escalation that is due and not yet written."""
        passed = await now(session) - approval.opened_at
        done = await audit.count(session, action="approval.reminded", resource_id=state.plan.id.shown)
        if passed >= approval.rule.remind_after * (done + 1):
            await enter(self._ledger, session, state.plan, "approval.reminded", SYSTEM, {"approval": approval.id.shown})
        climbed = await audit.count(session, action="approval.escalated", resource_id=state.plan.id.shown)
        ladder = approval.rule.ladder
        if climbed < len(ladder) - 1 and passed >= approval.rule.escalate_after * (climbed + 1):
            after = {"approval": approval.id.shown, "to": ladder[climbed + 1]}
            await enter(self._ledger, session, state.plan, "approval.escalated", SYSTEM, after)

    async def _standing(self, session: AsyncSession, approval: Approval) -> Standing:
        passed = await now(session) - approval.opened_at
        rule = approval.rule
        waits = [rule.decide_within - passed]
        waits += [every * (passed // every + 1) - passed for every in (rule.remind_after, rule.escalate_after)]
        soon = max(min(waits), timedelta(seconds=1))
        return Standing(approval=approval.id, status=approval.status, look_again_in=soon, decide_by=approval.decide_by)

    async def _is_moot(self, session: AsyncSession, state: PlanState) -> bool:
        """Whether nobody needs to decide: the incident has ended since the plan was made, or a switch is engaged."""
        plan, incident = state.plan, await incidents.get(session, state.plan.incident)
        if incident.ended_at is not None and incident.ended_at >= state.created_at:
            return True
        try:
            await self._guard.check_may_act(session, plan.org, SwitchScope(workflow=incident.service, action=plan.action))
        except StoppedError:
            return True
        return False


def _demands(rule: ApprovalRule) -> str:
    return f"{rule.quorum} of {', '.join(rule.roles)} within {rule.decide_within}"
