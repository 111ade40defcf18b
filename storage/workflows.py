"""Workflows as rows: which one a name or an id means, and whether it is active."""

from contextlib import suppress

from sqlalchemy import func, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from domain.base import OrgId, Value, WorkflowId
from domain.errors import ConflictError, NotFoundError
from storage.engine import new_id
from storage.pipelines import PipelineRow, WorkflowRow


class Workflow(Value):
    id: WorkflowId
    name: str
    description: str = ""
    is_active: bool


async def find(session: AsyncSession, named: str | WorkflowId) -> Workflow | None:
    """The org's workflow with this name or this id."""
    same = [col(WorkflowRow.name) == str(named)]
    with suppress(ValueError):
        same.append(col(WorkflowRow.id) == WorkflowId.of(named))
    row = await session.scalar(select(WorkflowRow).where(or_(*same)).order_by(col(WorkflowRow.id)).limit(1))
    return None if row is None else _to_value(row)


async def get(session: AsyncSession, workflow: WorkflowId) -> Workflow:
    """Raises NotFoundError: no such workflow in the caller's org."""
    row = await session.scalar(select(WorkflowRow).where(WorkflowRow.id == workflow))
    if row is None:
        raise NotFoundError(f"no workflow {workflow.shown}")
    return _to_value(row)


async def page(session: AsyncSession, *, after: WorkflowId | None, limit: int) -> list[Workflow]:
    """Workflows, the newest first."""
    statement = select(WorkflowRow).order_by(col(WorkflowRow.id).desc()).limit(limit)
    if after is not None:
        statement = statement.where(col(WorkflowRow.id) < after)
    return [_to_value(row) for row in await session.scalars(statement)]


async def add(session: AsyncSession, org: OrgId, name: str, description: str) -> Workflow:
    """Raises ConflictError: the name is taken."""
    values = {"org_id": org, "id": await new_id(session), "name": name, "description": description}
    statement = insert(WorkflowRow).values(values).on_conflict_do_nothing().returning(WorkflowRow)
    row = await session.scalar(statement)
    if row is None:
        raise ConflictError("a workflow of this name exists already")
    return _to_value(row)


async def change(session: AsyncSession, workflow: Workflow) -> None:
    """Store description and activity; a pipeline is as active as its workflow."""
    values = {"description": workflow.description, "is_active": workflow.is_active, "updated_at": func.suture.now()}
    await session.execute(update(WorkflowRow).where(col(WorkflowRow.id) == workflow.id).values(values))
    twin = update(PipelineRow).where(col(PipelineRow.id) == workflow.id)
    await session.execute(twin.values(is_active=workflow.is_active))


def _to_value(row: WorkflowRow) -> Workflow:
    return Workflow(id=WorkflowId.of(row.id), name=row.name, description=row.description, is_active=row.is_active)
