"""Long work as rows."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import OperationId, OrgId
from domain.errors import NotFoundError
from domain.operation import Operation, OperationStatus
from storage.engine import moment


class OperationRow(SQLModel, table=True):
    __tablename__ = "operations"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    kind: str
    status: str
    resource_type: str
    resource_id: str
    created_at: datetime | None = Field(default=None, sa_column=moment())
    updated_at: datetime | None = Field(default=None, sa_column=moment())


async def add(
    session: AsyncSession, org: OrgId, operation: OperationId, *, kind: str, resource_type: str, resource_id: str
) -> None:
    """Adding it again changes nothing."""
    values = {
        "org_id": org,
        "id": operation,
        "kind": kind,
        "status": OperationStatus.RUNNING,
        "resource_type": resource_type,
        "resource_id": resource_id,
    }
    await session.execute(insert(OperationRow).values(values).on_conflict_do_nothing())


async def get(session: AsyncSession, operation: OperationId) -> Operation:
    """Raises NotFoundError: no such operation in the caller's org."""
    statement = select(OperationRow).where(OperationRow.id == operation)
    row = await session.scalar(statement, execution_options={"populate_existing": True})
    if row is None:
        raise NotFoundError(f"no operation {operation.shown}")
    return Operation.model_validate(row.model_dump(exclude={"org_id"}))


async def finish(session: AsyncSession, operation: OperationId, status: OperationStatus) -> None:
    """The first end counts."""
    running = update(OperationRow).where(col(OperationRow.id) == operation, col(OperationRow.status) == OperationStatus.RUNNING)
    await session.execute(running.values(status=status, updated_at=func.suture.now()))
