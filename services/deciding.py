"""Do what stored requests ask for, and nothing else: count a decision, and turn an agreement into a grant."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actions.base import Action
from domain.actor import SYSTEM, Actor
from domain.approval import (
    Approval,
    ApprovalStatus,
    Choice,
    Decision,
    DecisionRequest,
    Grant,
    GrantStatus,
    RequestKind,
    Settled,
)
from domain.base import ApprovalId, DecisionId, GrantId, PrincipalId
from domain.errors import (
    ApprovalClosedError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
)
from domain.identity import Principal
from domain.plan import PlanState, PlanStatus
from domain.policy import DecisionFacts, Tier
from domain.refs import PlanRef, RequestRef
from services.decisions import Decisions, policy_record
from services.ledger import Ledger
from services.plan_entries import enter, note_refusal
from services.ports import Policy
from services.rights import check_may_execute, check_valid, excluded, usable_grant, word_of
from services.weighing import plan_facts
from storage import approvals as store
from storage import decisions as decision_rows
from storage import identity as identities
from storage import plans, tokens
from storage.engine import Database, new_id, now, repeatable

_AUTO_EXECUTE_WITHIN = timedelta(minutes=10)


class Deciding:
    def __init__(
        self, database: Database, ledger: Ledger, decisions: Decisions, policy: Policy, catalog: Mapping[str, Action]
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._decisions = decisions
        self._policy = policy
        self._catalog = catalog

    async def settle(self, ref: RequestRef) -> Settled:
        """Do what a stored request asks for: count a decision, or let a granted plan execute.

        Raises:
            NotFoundError, ApprovalClosedError, ForbiddenError, ConflictError: nothing changes but the audit log.
        """
        try:
            async with self._database.transaction(ref.org) as session:
                request = await store.get_request(session, ref.id)
                if request.kind is RequestKind.EXECUTE:
                    await self._check_executable(session, request)
                    return Settled(kind=request.kind, plan=request.plan)
            return Settled(kind=request.kind, plan=request.plan, approval=await self._decide(ref, request))
        except (NotFoundError, ForbiddenError, ConflictError) as refusal:
            await note_refusal(self._database, self._ledger, ref, refusal)
            raise

    @repeatable
    async def grant_alone(self, ref: PlanRef) -> GrantId:
        """The grant that follows from a policy's answer `auto`, out of its decision record.

        Raises:
            ConflictError: the latest preflight does not say `auto`.
        """
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            preflight = await plans.latest_preflight(session, ref.id)
            if preflight is None or not preflight.passed or preflight.tier is not Tier.AUTO:
                raise ConflictError("policy does not let this plan run alone")
            if (existing := await store.grant_of(session, ref.id)) is not None:
                return existing.id
            await check_valid(session, preflight)
            record = await decision_rows.latest_auto(session, ref.id)
            return await self._grant(session, state, _AUTO_EXECUTE_WITHIN, None, record)

    @repeatable
    async def _decide(self, ref: RequestRef, request: DecisionRequest) -> Approval:
        """Count a stored request; the same one again (a retry after a lost answer) counts once."""
        async with self._database.transaction(ref.org) as session:
            if request.approval is None or request.choice is None:
                raise ConflictError("this request decides nothing")
            state = await plans.get_for_update(session, request.plan)
            approval = await store.get_for_update(session, request.approval)
            if any(decision.request == request.id for decision in approval.decisions):
                return approval
            decided = await self._counted(session, state, approval, request)
            await self._settle(session, state, decided, request)
            return await store.get(session, approval.id)

    async def _counted(self, session: AsyncSession, state: PlanState, approval: Approval, request: DecisionRequest) -> Approval:
        """The approval with the request's decision in it, stored, after every right was looked up again."""
        by = await identities.get_principal(session, request.principal)
        token = await tokens.get_for_update(session, request.token)
        if token.revoked_at is not None:
            raise ForbiddenError("the token behind this request has been revoked")
        approval = approval.model_copy(update={"excluded": await excluded(session, state.plan)})
        word = word_of(by.id, request.choice or Choice.REJECT, request.digest, request.reason, request.auth_method, request.id)
        decided = approval.with_decision(word, by=by, issuer=token.issuer, now=await now(session))
        await self._check_policy(session, state, approval, by, token.issuer, word)
        await store.add_decision(session, state.plan.org, approval.id, word)
        return decided

    async def _check_policy(
        self,
        session: AsyncSession,
        state: PlanState,
        approval: Approval,
        by: Principal,
        issuer: PrincipalId,
        word: Decision,
    ) -> None:
        """Raises ForbiddenError: policy does not let this person decide; what it said is kept either way."""
        preflight = await plans.latest_preflight(session, state.plan.id)
        facts = DecisionFacts(
            plan=plan_facts(state.plan, preflight.dry_runs if preflight else (), self._catalog),
            principal=by.id,
            issuer=issuer,
            kind=by.kind,
            roles=by.roles,
            is_active=by.is_active,
            choice=word.choice,
            excluded=approval.excluded,
        )
        reasons = await self._policy.may_decide(facts)
        decision = "may not decide" if reasons else "may decide"
        record = policy_record(state.plan, [facts], approval.rule.revision, decision, reasons)
        record = record.model_copy(update={"reviewer": by.id})
        if not reasons:
            await self._decisions.record(session, state.plan.org, record)
        else:
            async with self._database.transaction(state.plan.org) as apart:
                await self._decisions.record(apart, state.plan.org, record)
            raise ForbiddenError("; ".join(f"{each.code}: {each.msg}" for each in reasons))

    async def _settle(self, session: AsyncSession, state: PlanState, decided: Approval, request: DecisionRequest) -> None:
        outcome = decided.outcome(await now(session))
        by = await identities.get_principal(session, request.principal)
        await enter(
            self._ledger,
            session,
            state.plan,
            f"approval.{request.choice}",
            Actor.of(by),
            {"digest": request.digest, "reason": request.reason},
        )
        if outcome is ApprovalStatus.OPEN:
            return
        if not await store.close(session, decided.id, outcome, by=request.principal, notes=request.reason):
            raise ApprovalClosedError("the approval has been closed meanwhile; ask for a new plan")
        if outcome is ApprovalStatus.APPROVED:
            await check_valid(session, await plans.latest_preflight(session, state.plan.id))
            await self._grant(session, state, decided.rule.execute_within, decided.id, None)
        else:
            await plans.set_status(session, state.plan.id, PlanStatus.REJECTED)

    async def _grant(
        self,
        session: AsyncSession,
        state: PlanState,
        execute_within: timedelta,
        approval: ApprovalId | None,
        decision: DecisionId | None,
    ) -> GrantId:
        grant = Grant(
            id=GrantId.of(await new_id(session)),
            plan=state.plan.id,
            digest=state.digest,
            approval=approval,
            decision=decision,
            status=GrantStatus.UNUSED,
            execute_by=await now(session) + execute_within,
        )
        await store.add_grant(session, state.plan.org, grant)
        await plans.set_status(session, state.plan.id, PlanStatus.GRANTED)
        source = {"approval": approval.shown} if approval else {"decision": decision.shown if decision else None}
        await enter(self._ledger, session, state.plan, "grant.given", SYSTEM, {"grant": grant.id.shown, **source})
        return grant.id

    async def _check_executable(self, session: AsyncSession, request: DecisionRequest) -> None:
        await usable_grant(session, request.plan)
        await check_may_execute(session, request)
