"""Ask people, take their word from stored requests only, and turn it into a grant; remind, escalate, expire in between."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

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
    GrantStanding,
    GrantStatus,
    RequestKind,
    Settled,
    Standing,
)
from domain.base import ApprovalId, DecisionId, Digest, GrantId, OrgId, PlanId, PrincipalId, RequestId, Value
from domain.errors import (
    ApprovalClosedError,
    ConflictError,
    ForbiddenError,
    HealError,
    NotFoundError,
    StalePlanError,
    StoppedError,
)
from domain.identity import Caller, Principal, SwitchScope
from domain.incident import Status
from domain.plan import CLOSED, FixPlan, PlanState, PlanStatus
from domain.policy import ApprovalFacts, DecisionFacts, Tier
from domain.preflight import Preflight
from domain.refs import PlanRef, RequestRef
from services.guard import Guard
from services.ledger import Ledger
from services.ports import Engine, Policy
from services.preflights import plan_facts
from services.rights import check_may_execute, excluded
from services.targets import read
from storage import approvals as store
from storage import audit, incidents, outbox, plans, remediations, tokens
from storage import decisions as decision_rows
from storage import identity as identities
from storage.engine import Database, new_id, now, repeatable
from storage.outbox import Letter

_ANSWER_WITHIN = timedelta(seconds=5)
_AUTO_EXECUTE_WITHIN = timedelta(minutes=10)


class Submitted(Value):
    """A stored request: `settled` when the decision counts already, otherwise it will."""

    request: RequestId
    approval: Approval | None
    settled: bool


class Approvals:
    def __init__(
        self, database: Database, ledger: Ledger, guard: Guard, policy: Policy, engine: Engine, catalog: Mapping[str, Action]
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._policy = policy
        self._engine = engine
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
        facts = plan_facts(state.plan, preflight.dry_runs, self._catalog)
        rule = await self._policy.approval_rule(ApprovalFacts(plan=facts))
        async with self._database.transaction(ref.org) as session:
            await plans.get_for_update(session, ref.id)
            existing = await store.of_plan(session, ref.id)
            if existing is None:
                await _check_valid(session, preflight)
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
        """Where the plan's grant stands; one that nobody used in time is over."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            grant = await store.grant_of(session, ref.id)
            if grant is None:
                raise ConflictError("the plan has no grant")
            left = grant.execute_by - await now(session)
            if grant.status is GrantStatus.UNUSED and left <= timedelta(0):
                await store.end_grant(session, grant.id, GrantStatus.EXPIRED)
                await plans.set_status(session, ref.id, PlanStatus.EXPIRED)
                await self._enter(session, state.plan, "grant.expired", SYSTEM, {"grant": grant.id.shown})
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
            grant = await store.grant_of(session, ref.id)
            if grant is not None and await store.end_grant(session, grant.id, GrantStatus.VOID):
                await self._enter(session, state.plan, "grant.void", SYSTEM, {"grant": grant.id.shown})
            for target in state.plan.targets:
                await remediations.release_lease(session, target.key, holder=ref.workflow_id)

    async def submit(
        self,
        caller: Caller,
        approval_id: ApprovalId,
        choice: Choice,
        *,
        reason: str = "",
        digest: Digest | None = None,
    ) -> Submitted:
        """Store what an authenticated person wants, then ask the workflow to count it.

        Raises:
            NotFoundError, ApprovalClosedError, ForbiddenError, SeparationOfDutiesError: refused and audited.
        """
        request = await self._audited(caller, approval_id, self._ask(caller, approval_id, choice, reason, digest))
        return await self._deliver(caller, request)

    async def approve_plan(self, caller: Caller, plan: PlanId, *, reason: str = "") -> Submitted:
        """Approve the plan by naming it; a plan never changes, so its name is its digest."""
        async with self._database.transaction(caller.org) as session:
            await plans.get(session, plan)
            found = await store.of_plan(session, plan)
        if found is None:
            refusal = ConflictError("the plan does not wait for an approval; run its preflight first")
            await self._refuse(caller, plan, "approval.refused", refusal)
            raise refusal
        return await self.submit(caller, found.id, Choice.APPROVE, reason=reason)

    async def request_execution(self, caller: Caller, plan: PlanId) -> Submitted:
        """Ask to execute a granted plan whose mode is `suggest`.

        Raises:
            NotFoundError: no such plan.
            StalePlanError: a newer plan has taken its place.
            ConflictError: it has no grant that could be used.
        """
        revision = await self._policy.revision()
        try:
            asked = await self._ask_to_execute(caller, plan, revision)
        except ConflictError as refusal:
            await self._refuse(caller, plan, "execution.refused", refusal)
            raise
        if isinstance(asked, str):
            raise StalePlanError(f"{asked}; the grant is void and a new plan is being made")
        return await self._deliver(caller, asked)

    @repeatable
    async def _ask_to_execute(self, caller: Caller, plan: PlanId, revision: str) -> DecisionRequest | str:
        """The stored request, or why the world is no longer the one that was approved."""
        async with self._database.transaction(caller.org) as session:
            state = await plans.get_for_update(session, plan)
            if state.status is PlanStatus.SUPERSEDED:
                newer = await plans.superseder(session, plan)
                raise StalePlanError(f"the plan is stale; the new one is {newer.shown if newer else 'being made'}")
            grant = await _usable_grant(session, plan)
            moved = await self._moved(session, state.plan, grant, revision)
            if moved is None:
                return await self._store_request(session, caller, RequestKind.EXECUTE, state, None, None, "")
            await self._void(session, caller, state, grant, moved)
            return moved

    async def _moved(self, session: AsyncSession, plan: FixPlan, grant: Grant, revision: str) -> str | None:
        """What is no longer as it was approved, in a sentence."""
        if plan.digest != grant.digest:
            return "the plan is no longer the one that was approved"
        if revision != plan.policy_revision:
            return f"policy is at revision {revision}, the plan was made under {plan.policy_revision}"
        for target in plan.targets:
            found = await read(session, target)
            if found.version != target.version:
                return f"{target.name} is at {found.version}, the plan was made for {target.version}"
        return None

    async def _void(self, session: AsyncSession, caller: Caller, state: PlanState, grant: Grant, reason: str) -> None:
        await store.end_grant(session, grant.id, GrantStatus.VOID)
        await plans.set_status(session, state.plan.id, PlanStatus.SUPERSEDED)
        await outbox.add(session, caller.org, Letter.WAKE, {"workflow_id": state.carrier})
        await self._enter(session, state.plan, "plan.stale", Actor.calling(caller), {"reason": reason})

    @repeatable
    async def revoke(self, caller: Caller, approval_id: ApprovalId) -> Approval:
        """End an unused grant.

        Raises:
            ConflictError: there is none, or it has been used.
        """
        async with self._database.transaction(caller.org) as session:
            state = await plans.get_for_update(session, (await store.get(session, approval_id)).plan)
            approval = await store.get_for_update(session, approval_id)
            grant = await store.grant_of(session, approval.plan)
            if grant is None or not await store.end_grant(session, grant.id, GrantStatus.REVOKED):
                raise ConflictError("there is no unused grant to revoke")
            await plans.set_status(session, approval.plan, PlanStatus.REJECTED)
            await self._enter(session, state.plan, "grant.revoked", Actor.calling(caller), {"grant": grant.id.shown})
            await outbox.add(session, caller.org, Letter.WAKE, {"workflow_id": state.carrier})
            return await store.get(session, approval_id)

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
            await self._note_refusal(ref, refusal)
            raise

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
            await _check_valid(session, preflight)
            record = await decision_rows.latest_of_plan(session, ref.id)
            return await self._grant(session, state, _AUTO_EXECUTE_WITHIN, None, record)

    async def get(self, caller: Caller, approval: ApprovalId) -> Approval:
        async with self._database.transaction(caller.org) as session:
            return await store.get(session, approval)

    async def page(self, caller: Caller, *, status: ApprovalStatus | None, after: UUID | None, limit: int) -> list[Approval]:
        async with self._database.transaction(caller.org) as session:
            return await store.page(session, status=status, after=after, limit=limit)

    @repeatable
    async def _ask(
        self, caller: Caller, approval_id: ApprovalId, choice: Choice, reason: str, digest: Digest | None
    ) -> DecisionRequest:
        async with self._database.transaction(caller.org) as session:
            approval = await store.get_for_update(session, approval_id)
            state = await plans.get(session, approval.plan)
            approval = approval.model_copy(update={"excluded": await excluded(session, state.plan)})
            word = _word(caller.id, choice, digest or approval.digest, reason, caller.auth_method)
            approval.with_decision(word, by=caller.principal, issuer=caller.issuer, now=await now(session))
            return await self._store_request(
                session, caller, RequestKind.DECIDE, state, approval.id, choice, reason, digest=word.digest
            )

    async def _store_request(
        self,
        session: AsyncSession,
        caller: Caller,
        kind: RequestKind,
        state: PlanState,
        approval: ApprovalId | None,
        choice: Choice | None,
        reason: str,
        *,
        digest: Digest | None = None,
    ) -> DecisionRequest:
        request = DecisionRequest(
            id=RequestId.of(await new_id(session)),
            kind=kind,
            plan=state.plan.id,
            approval=approval,
            principal=caller.id,
            token=caller.token,
            choice=choice,
            digest=digest or state.digest,
            reason=reason,
            auth_method=caller.auth_method,
        )
        await store.add_request(session, caller.org, request)
        letter = {"request": request.id.shown, "workflow_id": state.carrier}
        await outbox.add(session, caller.org, Letter.DECIDE, letter, after=_ANSWER_WITHIN)
        await self._enter(
            session,
            state.plan,
            f"plan.{kind}_requested",
            Actor.calling(caller),
            {"request": request.id.shown, "choice": choice},
        )
        return request

    async def _deliver(self, caller: Caller, request: DecisionRequest) -> Submitted:
        async with self._database.transaction(caller.org) as session:
            carrier = (await plans.get(session, request.plan)).carrier
        ref = RequestRef(org=caller.org, id=request.id)
        try:
            settled = await self._engine.decide(carrier, ref, within=_ANSWER_WITHIN)
        except (NotFoundError, ForbiddenError, ConflictError) as refusal:
            await self._note_refusal_at_the_door(ref, refusal)
            raise
        approval = settled.approval if settled else None
        return Submitted(request=request.id, approval=approval, settled=settled is not None)

    async def _counted(self, session: AsyncSession, state: PlanState, approval: Approval, request: DecisionRequest) -> Approval:
        """The approval with the request's decision in it, stored, after every right was looked up again."""
        by = await identities.get_principal(session, request.principal)
        token = await tokens.get_for_update(session, request.token)
        if token.revoked_at is not None:
            raise ForbiddenError("the token behind this request has been revoked")
        approval = approval.model_copy(update={"excluded": await excluded(session, state.plan)})
        word = _word(by.id, request.choice or Choice.REJECT, request.digest, request.reason, request.auth_method, request.id)
        decided = approval.with_decision(word, by=by, issuer=token.issuer, now=await now(session))
        await self._check_policy(state, approval, by, token.issuer, word)
        await store.add_decision(session, state.plan.org, approval.id, word)
        return decided

    async def _check_policy(
        self, state: PlanState, approval: Approval, by: Principal, issuer: PrincipalId, word: Decision
    ) -> None:
        facts = plan_facts(state.plan, (), self._catalog)
        reasons = await self._policy.may_decide(
            DecisionFacts(
                plan=facts,
                principal=by.id,
                issuer=issuer,
                kind=by.kind,
                roles=by.roles,
                is_active=by.is_active,
                choice=word.choice,
                excluded=approval.excluded,
            )
        )
        if reasons:
            raise ForbiddenError("; ".join(f"{each.code}: {each.msg}" for each in reasons))

    async def _settle(self, session: AsyncSession, state: PlanState, decided: Approval, request: DecisionRequest) -> None:
        outcome = decided.outcome(await now(session))
        by = await identities.get_principal(session, request.principal)
        await self._enter(
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
            await _check_valid(session, await plans.latest_preflight(session, state.plan.id))
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
        await self._enter(session, state.plan, "grant.given", SYSTEM, {"grant": grant.id.shown, **source})
        return grant.id

    async def _add(self, session: AsyncSession, org: OrgId, state: PlanState, approval: Approval) -> None:
        if not await store.add(session, org, approval):
            return
        await plans.set_status(session, state.plan.id, PlanStatus.AWAITING_APPROVAL)
        await incidents.progress(session, state.plan.incident, Status.AWAITING_APPROVAL)
        after = {"approval": approval.id.shown, "quorum": approval.rule.quorum, "digest": approval.digest}
        await self._enter(session, state.plan, "approval.opened", SYSTEM, after)

    async def _close(
        self, session: AsyncSession, state: PlanState, approval: Approval, status: ApprovalStatus, plan: PlanStatus
    ) -> None:
        if not await store.close(session, approval.id, status, by=None, notes=None):
            return
        await plans.set_status(session, state.plan.id, plan)
        await self._enter(session, state.plan, f"approval.{status}", SYSTEM, {"approval": approval.id.shown})

    async def _nudge(self, session: AsyncSession, state: PlanState, approval: Approval) -> None:
        """Write each reminder and escalation that is due and not yet written."""
        passed = await now(session) - approval.opened_at
        done = await audit.count(session, action="approval.reminded", resource_id=state.plan.id.shown)
        if passed >= approval.rule.remind_after * (done + 1):
            await self._enter(session, state.plan, "approval.reminded", SYSTEM, {"approval": approval.id.shown})
        climbed = await audit.count(session, action="approval.escalated", resource_id=state.plan.id.shown)
        ladder = approval.rule.ladder
        if climbed < len(ladder) - 1 and passed >= approval.rule.escalate_after * (climbed + 1):
            after = {"approval": approval.id.shown, "to": ladder[climbed + 1]}
            await self._enter(session, state.plan, "approval.escalated", SYSTEM, after)

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

    async def _audited(self, caller: Caller, approval: ApprovalId, attempt) -> DecisionRequest:  # type: ignore[no-untyped-def]
        """The request that `attempt` stores, or its refusal after that has been written down."""
        try:
            request: DecisionRequest = await attempt
        except (ForbiddenError, ConflictError) as refusal:
            async with self._database.transaction(caller.org) as session:
                plan = (await store.get(session, approval)).plan
            await self._refuse(caller, plan, "approval.refused", refusal)
            raise
        return request

    async def _check_executable(self, session: AsyncSession, request: DecisionRequest) -> None:
        await _usable_grant(session, request.plan)
        await check_may_execute(session, request)

    async def _note_refusal_at_the_door(self, ref: RequestRef, refusal: HealError) -> None:
        """A workflow that waits for nobody refuses without asking `settle`, so nothing has been written down yet."""
        async with self._database.transaction(ref.org) as session:
            noted = await audit.count(session, action="request.refused", resource_id=ref.id.shown)
        if not noted:
            await self._note_refusal(ref, refusal)

    @repeatable
    async def _note_refusal(self, ref: RequestRef, refusal: HealError) -> None:
        async with self._database.transaction(ref.org) as session:
            await outbox.take_back_decision(session, ref.id)
            await self._ledger.append(
                session,
                ref.org,
                "request.refused",
                actor=SYSTEM,
                resource_type="request",
                resource_id=ref.id.shown,
                after={"code": refusal.code, "reason": str(refusal)},
            )

    @repeatable
    async def _refuse(self, caller: Caller, plan: PlanId, action: str, refusal: HealError) -> None:
        async with self._database.transaction(caller.org) as session:
            state = await plans.get(session, plan)
            after = {"code": refusal.code, "reason": str(refusal)}
            await self._enter(session, state.plan, action, Actor.calling(caller), after)

    async def _enter(
        self, session: AsyncSession, plan: FixPlan, action: str, actor: Actor, after: Mapping[str, object]
    ) -> None:
        await self._ledger.append(
            session,
            plan.org,
            action,
            actor=actor,
            resource_type="plan",
            resource_id=plan.id.shown,
            after=dict(after),
            incident=plan.incident,
        )


async def _check_valid(session: AsyncSession, preflight: Preflight | None) -> None:
    """Raises ConflictError: what the preflight found is too old to agree to."""
    if preflight is None or preflight.valid_until <= await now(session):
        raise ConflictError("the plan's preflight is no longer valid; ask for a new plan")


async def _usable_grant(session: AsyncSession, plan: PlanId) -> Grant:
    """Raises ConflictError: the plan has no grant, or it is used, ended or too old."""
    grant = await store.grant_of(session, plan)
    if grant is None or grant.status is not GrantStatus.UNUSED or grant.execute_by <= await now(session):
        raise ConflictError("the plan has no unused grant; ask for a new plan and approval")
    return grant


def _word(
    by: PrincipalId,
    choice: Choice,
    digest: Digest,
    reason: str,
    auth_method: str,
    request: RequestId | None = None,
) -> Decision:
    return Decision(
        principal=by,
        choice=choice,
        digest=digest,
        reason=reason,
        request=request or RequestId(int=0),
        auth_method=auth_method,
    )
