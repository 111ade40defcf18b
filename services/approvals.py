"""What people do about approvals: decide, execute, revoke, read; each wish is stored before the workflow hears of it."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.approval import (
    Approval,
    ApprovalStatus,
    Choice,
    DecisionRequest,
    Grant,
    GrantStatus,
    RequestKind,
)
from domain.base import ApprovalId, Digest, PlanId, RequestId, Value
from domain.errors import (
    ConflictError,
    ForbiddenError,
    HealError,
    NotFoundError,
    StalePlanError,
)
from domain.identity import Caller
from domain.plan import PlanState, PlanStatus
from domain.refs import RequestRef
from services.ledger import Ledger
from services.plan_entries import enter, note_refusal_once
from services.ports import Engine, Policy
from services.rights import excluded, usable_grant, word_of
from services.targets import moved_reason
from storage import approvals as store
from storage import outbox, plans
from storage.engine import Database, new_id, now, repeatable
from storage.outbox import Letter

_ANSWER_WITHIN = timedelta(seconds=5)


class Submitted(Value):
    """A stored request: `settled` when the decision counts already, otherwise it will."""

    request: RequestId
    approval: Approval | None
    settled: bool


class Approvals:
    def __init__(self, database: Database, ledger: Ledger, policy: Policy, engine: Engine) -> None:
        self._database = database
        self._ledger = ledger
        self._policy = policy
        self._engine = engine

    async def submit(
        self,
        caller: Caller,
        approval_id: ApprovalId,
        choice: Choice,
        *,
        reason: str = "",
        digest: Digest | None = None,
        request: RequestId | None = None,
    ) -> Submitted:
        """Store what an authenticated person wants, then ask the workflow to count it; the same `request` is stored once.

        Raises:
            NotFoundError, ApprovalClosedError, ForbiddenError, SeparationOfDutiesError: refused and audited.
        """
        ask = self._ask(caller, approval_id, choice, reason, digest, request)
        return await self._deliver(caller, await self._audited(caller, approval_id, ask))

    async def approve_plan(
        self, caller: Caller, plan: PlanId, *, reason: str = "", request: RequestId | None = None
    ) -> Submitted:
        """Approve the plan by naming it; a plan never changes, so its name is its digest."""
        async with self._database.transaction(caller.org) as session:
            await plans.get(session, plan)
            found = await store.of_plan(session, plan)
        if found is None:
            refusal = ConflictError("the plan does not wait for an approval; run its preflight first")
            await self._refuse(caller, plan, "approval.refused", refusal)
            raise refusal
        return await self.submit(caller, found.id, Choice.APPROVE, reason=reason, request=request)

    async def request_execution(self, caller: Caller, plan: PlanId, *, request: RequestId | None = None) -> Submitted:
        """Ask to execute a granted plan whose mode is `suggest`; the same `request` is stored once.

        Raises:
            NotFoundError: no such plan.
            StalePlanError: a newer plan has taken its place.
            ConflictError: it has no grant that could be used.
        """
        revision = await self._policy.revision()
        try:
            asked = await self._ask_to_execute(caller, plan, revision, request)
        except ConflictError as refusal:
            await self._refuse(caller, plan, "execution.refused", refusal)
            raise
        if isinstance(asked, str):
            raise StalePlanError(f"{asked}; the grant is void and a new plan is being made")
        return await self._deliver(caller, asked)

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
            await enter(self._ledger, session, state.plan, "grant.revoked", Actor.calling(caller), {"grant": grant.id.shown})
            await outbox.add(session, caller.org, Letter.WAKE, {"workflow_id": state.carrier})
            return await store.get(session, approval_id)

    async def get(self, caller: Caller, approval: ApprovalId) -> Approval:
        async with self._database.transaction(caller.org) as session:
            return await store.get(session, approval)

    async def page(self, caller: Caller, *, status: ApprovalStatus | None, after: UUID | None, limit: int) -> list[Approval]:
        async with self._database.transaction(caller.org) as session:
            return await store.page(session, status=status, after=after, limit=limit)

    @repeatable
    async def _ask(
        self,
        caller: Caller,
        approval_id: ApprovalId,
        choice: Choice,
        reason: str,
        digest: Digest | None,
        request: RequestId | None,
    ) -> DecisionRequest:
        async with self._database.transaction(caller.org) as session:
            approval = await store.get_for_update(session, approval_id)
            if request is not None and (known := await store.find_request(session, request)) is not None:
                return known
            state = await plans.get(session, approval.plan)
            approval = approval.model_copy(update={"excluded": await excluded(session, state.plan)})
            word = word_of(caller.id, choice, digest or approval.digest, reason, caller.auth_method)
            approval.with_decision(word, by=caller.principal, issuer=caller.issuer, now=await now(session))
            return await self._store_request(
                session, caller, RequestKind.DECIDE, state, approval.id, choice, reason, digest=word.digest, request=request
            )

    @repeatable
    async def _ask_to_execute(
        self, caller: Caller, plan: PlanId, revision: str, request: RequestId | None
    ) -> DecisionRequest | str:
        """The stored request, or why the world is no longer the one that was approved."""
        async with self._database.transaction(caller.org) as session:
            state = await plans.get_for_update(session, plan)
            if request is not None and (known := await store.find_request(session, request)) is not None:
                return known
            if state.status is PlanStatus.SUPERSEDED:
                newer = await plans.superseder(session, plan)
                raise StalePlanError(f"the plan is stale; the new one is {newer.shown if newer else 'being made'}")
            grant = await usable_grant(session, plan)
            moved = "the plan is no longer the one that was approved" if state.plan.digest != grant.digest else None
            moved = moved or await moved_reason(session, state.plan, revision)
            if moved is None:
                return await self._store_request(session, caller, RequestKind.EXECUTE, state, None, None, "", request=request)
            await self._void(session, caller, state, grant, moved)
            return moved

    async def _void(self, session: AsyncSession, caller: Caller, state: PlanState, grant: Grant, reason: str) -> None:
        await store.end_grant(session, grant.id, GrantStatus.VOID)
        await plans.set_status(session, state.plan.id, PlanStatus.SUPERSEDED)
        await outbox.add(session, caller.org, Letter.WAKE, {"workflow_id": state.carrier})
        await enter(self._ledger, session, state.plan, "plan.stale", Actor.calling(caller), {"reason": reason})

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
        request: RequestId | None = None,
    ) -> DecisionRequest:
        stored = DecisionRequest(
            id=request or RequestId.of(await new_id(session)),
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
        await store.add_request(session, caller.org, stored)
        letter = {"request": stored.id.shown, "workflow_id": state.carrier}
        await outbox.add(session, caller.org, Letter.DECIDE, letter, after=_ANSWER_WITHIN)
        await enter(
            self._ledger,
            session,
            state.plan,
            f"plan.{kind}_requested",
            Actor.calling(caller),
            {"request": stored.id.shown, "choice": choice},
        )
        return stored

    async def _deliver(self, caller: Caller, request: DecisionRequest) -> Submitted:
        async with self._database.transaction(caller.org) as session:
            if (counted := await self._counted(session, request)) is not None:
                return counted
            carrier = (await plans.get(session, request.plan)).carrier
        ref = RequestRef(org=caller.org, id=request.id)
        try:
            settled = await self._engine.decide(carrier, ref, within=_ANSWER_WITHIN)
        except (NotFoundError, ForbiddenError, ConflictError) as refusal:
            await note_refusal_once(self._database, self._ledger, ref, refusal)
            raise
        approval = settled.approval if settled else None
        return Submitted(request=request.id, approval=approval, settled=settled is not None)

    async def _counted(self, session: AsyncSession, request: DecisionRequest) -> Submitted | None:
        """What a request that was delivered before has come to; the workflow may have gone on since."""
        if request.approval is None:
            grant = await store.grant_of(session, request.plan)
            is_used = grant is not None and grant.status is GrantStatus.CONSUMED
            return Submitted(request=request.id, approval=None, settled=True) if is_used else None
        approval = await store.get(session, request.approval)
        is_counted = any(each.request == request.id for each in approval.decisions)
        return Submitted(request=request.id, approval=approval, settled=True) if is_counted else None

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

    @repeatable
    async def _refuse(self, caller: Caller, plan: PlanId, action: str, refusal: HealError) -> None:
        async with self._database.transaction(caller.org) as session:
            state = await plans.get(session, plan)
            after = {"code": refusal.code, "reason": str(refusal)}
            await enter(self._ledger, session, state.plan, action, Actor.calling(caller), after)
