"""Workflows as the guard sees them: which one a name or an id means, and whether it is active."""

from contextlib import suppress

from sqlalchemy import or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from domain.base import Value, WorkflowId
from storage.pipelines import WorkflowRow


class Workflow(Value):
    id: WorkflowId
    name: str
    is_active: bool


async def find(session: AsyncSession, named: str | WorkflowId) -> Workflow | None:
    """The org's workflow with this name or this id."""
    same = [col(WorkflowRow.name) == str(named)]
    with suppress(ValueError):
        same.append(col(WorkflowRow.id) == WorkflowId.of(named))
    row = await session.scalar(select(WorkflowRow).where(or_(*same)).order_by(col(WorkflowRow.id)).limit(1))
    return None if row is None else Workflow(id=WorkflowId.of(row.id), name=row.name, is_active=row.is_active)
