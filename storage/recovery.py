"""Recoveries: who asked to replay which failed run, and what came of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import ExecutionId, OrgId, PlanId, PrincipalId, RecoveryId
from domain.errors import NotFoundError
from domain.recovery import RecoveryEvent, RecoveryOutcome
from storage.engine import moment


class RecoveryRow(SQLModel, table=True):
    __tablename__ = "recovery_events"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    execution_id: UUID
    strategy: str
    retry_count: int = 0
    dlq_reason: str
    requested_by: UUID
    plan_id: UUID | None = None
    replayed_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    outcome: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=moment())


async def add(session: AsyncSession, org: OrgId, event: RecoveryEvent) -> None:
    session.add(
        RecoveryRow(
            org_id=org,
            id=event.id,
            execution_id=event.execution,
            strategy=event.strategy,
            retry_count=event.retry_count,
            dlq_reason=event.dlq_reason,
            requested_by=event.requested_by,
            plan_id=event.plan,
        )
    )
    await session.flush()


async def get(session: AsyncSession, recovery: RecoveryId) -> RecoveryEvent:
    """Raises NotFoundError: no such recovery in the caller's org."""
    row = await session.scalar(select(RecoveryRow).where(RecoveryRow.id == recovery))
    if row is None:
        raise NotFoundError(f"no recovery {recovery.shown}")
    return _to_value(row)


async def finish(session: AsyncSession, recovery: RecoveryId, outcome: RecoveryOutcome, *, replayed: bool) -> bool:
    """Whether this call wrote it; a recovery has one outcome."""
    values = {"outcome": str(outcome)} | ({"replayed_at": func.suture.now()} if replayed else {})
    statement = update(RecoveryRow).where(col(RecoveryRow.id) == recovery, col(RecoveryRow.outcome).is_(None))
    finished = await session.execute(statement.values(**values).returning(col(RecoveryRow.id)))
    return finished.first() is not None


async def count_of(session: AsyncSession, execution: ExecutionId) -> int:
    """How often this run has been replayed before."""
    statement = select(func.count()).select_from(RecoveryRow).where(RecoveryRow.execution_id == execution)
    return (await session.scalars(statement)).one()


async def page(session: AsyncSession, *, after: UUID | None, limit: int) -> list[RecoveryEvent]:
    """Recoveries, the newest first."""
    statement = select(RecoveryRow).order_by(col(RecoveryRow.id).desc()).limit(limit)
    if after is not None:
        statement = statement.where(col(RecoveryRow.id) < after)
    return [_to_value(row) for row in await session.scalars(statement)]


def _to_value(row: RecoveryRow) -> RecoveryEvent:
    return RecoveryEvent(
        id=RecoveryId.of(row.id),
        execution=ExecutionId.of(row.execution_id),
        strategy=row.strategy,
        retry_count=row.retry_count,
        dlq_reason=row.dlq_reason,
        requested_by=PrincipalId.of(row.requested_by),
        plan=PlanId.of(row.plan_id) if row.plan_id else None,
        replayed_at=row.replayed_at,
        outcome=RecoveryOutcome(row.outcome) if row.outcome else None,
        created_at=row.created_at,
    )
