"""Failed work: list it, replay it by a plan of one step on the same path as any other, record what came of it."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM, Actor
from domain.base import ExecutionId, OrgId, PlanId, RecoveryId
from domain.errors import ConflictError
from domain.execution import Execution, RunStatus
from domain.identity import Caller
from domain.recovery import RecoveryEvent, RecoveryOutcome
from domain.refs import PlanRef, RecoveryRef
from services.guard import Guard
from services.ledger import Ledger
from services.planning import Planning
from storage import executions, outbox
from storage import recovery as store
from storage.engine import Database, new_id, repeatable
from storage.outbox import Letter


class Recovery:
    def __init__(self, database: Database, ledger: Ledger, guard: Guard, planning: Planning) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._planning = planning

    async def failed(self, caller: Caller, *, after: UUID | None, limit: int) -> list[Execution]:
        """Runs that failed for good and can be replayed, the newest first."""
        async with self._database.transaction(caller.org) as session:
            return await executions.page(session, pipeline=None, status=RunStatus.FAILED, after=after, limit=limit)

    @repeatable
    async def replay(self, caller: Caller, execution_id: ExecutionId, reason: str) -> RecoveryEvent:
        """Ask to replay a failed run from the stage that failed; policy says who has to agree.

        Raises:
            NotFoundError: no such run.
            ConflictError: it has not failed.
        """
        async with self._database.transaction(caller.org) as session:
            await self._guard.check_org_active(session, caller.org)
            execution = await executions.get_for_update(session, execution_id)
            if execution.status is not RunStatus.FAILED:
                raise ConflictError(f"the run is {execution.status}; only a failed run is replayed")
            identifier = RecoveryId.of(await new_id(session))
            ref = RecoveryRef(org=caller.org, id=identifier)
            state = await self._planning.replay(session, execution, caller, carrier=ref.workflow_id)
            event = RecoveryEvent(
                id=identifier,
                execution=execution_id,
                strategy="resume_from_failed_stage",
                retry_count=await store.count_of(session, execution_id),
                dlq_reason=reason or (execution.error_message or "failed")[:500],
                requested_by=caller.id,
                plan=state.plan.id,
            )
            await store.add(session, caller.org, event)
            letter = {"recovery": identifier.shown, "carrier": ref.workflow_id}
            await outbox.add(session, caller.org, Letter.START_RECOVERY, letter)
            await self._enter(session, caller.org, event, "recovery.requested", Actor.calling(caller))
            return event

    async def plan(self, ref: RecoveryRef) -> PlanRef:
        """The plan that carries out a recovery.

        Raises:
            ConflictError: it has none.
        """
        async with self._database.transaction(ref.org) as session:
            event = await store.get(session, ref.id)
        if event.plan is None:
            raise ConflictError("the recovery has no plan")
        return PlanRef(org=ref.org, id=PlanId.of(event.plan))

    @repeatable
    async def finish(self, ref: RecoveryRef, outcome: RecoveryOutcome) -> None:
        """Record what came of it, the first time this is said."""
        async with self._database.transaction(ref.org) as session:
            event = await store.get(session, ref.id)
            if await store.finish(session, ref.id, outcome, replayed=outcome is not RecoveryOutcome.REFUSED):
                await self._enter(session, ref.org, event, f"recovery.{outcome}", SYSTEM)

    async def events(self, caller: Caller, *, after: UUID | None, limit: int) -> list[RecoveryEvent]:
        async with self._database.transaction(caller.org) as session:
            return await store.page(session, after=after, limit=limit)

    async def _enter(self, session: AsyncSession, org: OrgId, event: RecoveryEvent, action: str, actor: Actor) -> None:
        await self._ledger.append(
            session,
            org,
            action,
            actor=actor,
            resource_type="execution",
            resource_id=event.execution.shown,
            after={"recovery": event.id.shown, "plan": event.plan.shown if event.plan else None},
        )
