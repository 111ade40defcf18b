"""Fix plans, whose content never changes, and what preflight found about them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import IncidentId, PlanId
from domain.errors import ConflictError, NotFoundError
from domain.plan import CLOSED, FixPlan, PlanState, PlanStatus, may_follow
from domain.preflight import Preflight
from storage.engine import document, moment
from storage.executions import ExecutionRow

_OPEN = tuple(str(each) for each in PlanStatus if each not in CLOSED)


class PlanRow(SQLModel, table=True):
    __tablename__ = "fix_plans"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    incident_id: UUID
    digest: str
    summary: str
    action: str
    environment: str
    is_production: bool
    mode: str
    risk_score: float
    content: dict[str, Any] = Field(sa_column=document())
    steps: list[Any] = Field(sa_column=document())
    rollback: list[Any] = Field(sa_column=document())
    preflight: dict[str, Any] | None = Field(default=None, sa_column=document(nullable=True))
    status: str
    requested_by: UUID | None = None
    supersedes: UUID | None = None
    carrier: str
    created_at: datetime | None = Field(default=None, sa_column=moment())
    updated_at: datetime | None = Field(default=None, sa_column=moment())


class PreflightRow(SQLModel, table=True):
    __tablename__ = "preflights"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    plan_id: UUID
    digest: str
    tier: str
    passed: bool
    content: dict[str, Any] = Field(sa_column=document())
    valid_until: datetime = Field(sa_column=moment())
    created_at: datetime | None = Field(default=None, sa_column=moment())


async def add(session: AsyncSession, plan: FixPlan, *, carrier: str) -> None:
    content = plan.model_dump(mode="json")
    steps: list[dict[str, Any]] = content["steps"]
    session.add(
        PlanRow(
            org_id=plan.org,
            id=plan.id,
            incident_id=plan.incident,
            digest=plan.digest,
            summary=plan.summary,
            action=plan.action,
            environment=plan.environment,
            is_production=plan.is_production,
            mode=plan.mode,
            risk_score=plan.risk_score,
            content=content,
            steps=steps,
            rollback=[step["undo"] for step in reversed(steps) if step["undo"]],
            status=PlanStatus.DRAFT,
            requested_by=plan.requested_by,
            supersedes=plan.supersedes,
            carrier=carrier,
        )
    )
    await session.flush()


async def get(session: AsyncSession, plan: PlanId) -> PlanState:
    """Raises NotFoundError: no such plan in the caller's org."""
    return await _one(session, _state().where(PlanRow.id == plan), plan)


async def get_for_update(session: AsyncSession, plan: PlanId) -> PlanState:
    """As `get`, locked until the transaction ends."""
    return await _one(session, _state().where(PlanRow.id == plan).with_for_update(of=PlanRow), plan)


async def of_incident(session: AsyncSession, incident: IncidentId, *, limit: int) -> list[PlanState]:
    """The incident's plans, the newest first."""
    statement = _state().where(PlanRow.incident_id == incident).order_by(col(PlanRow.id).desc()).limit(limit)
    return [_to_state(row, heal_by) for row, heal_by in await session.execute(statement)]


async def lock_open(session: AsyncSession, incident: IncidentId) -> list[PlanId]:
    """The incident's plans that are not closed, locked in one order until the transaction ends."""
    statement = select(PlanRow.id).where(PlanRow.incident_id == incident, col(PlanRow.status).in_(_OPEN))
    return [PlanId.of(each) for each in await session.scalars(statement.order_by(col(PlanRow.id)).with_for_update())]


async def carried_elsewhere(session: AsyncSession, incident: IncidentId, *, carrier: str) -> bool:
    """Whether a story other than that of `carrier` has a plan for the incident that is not closed.

    A replay is no story of the incident: it neither ends it nor speaks for the other runs that wait in it.
    """
    statement = select(PlanRow.id).where(
        PlanRow.incident_id == incident,
        col(PlanRow.status).in_(_OPEN),
        PlanRow.carrier != carrier,
        col(PlanRow.carrier).not_like("recovery/%"),
    )
    return (await session.scalar(statement.limit(1))) is not None


async def is_executing(session: AsyncSession, incident: IncidentId) -> bool:
    """Whether a plan of the incident is being executed right now."""
    executing = PlanRow.status == str(PlanStatus.EXECUTING)
    return (await session.scalar(select(PlanRow.id).where(PlanRow.incident_id == incident, executing).limit(1))) is not None


async def carriers_at_work(session: AsyncSession, *, limit: int) -> list[str]:
    """The engine's workflow ids of plans that are carried or executed right now."""
    rows = await session.execute(
        select(PlanRow.org_id, PlanRow.id, PlanRow.carrier).where(col(PlanRow.status).in_(_OPEN)).limit(limit)
    )
    return [workflow for row in rows for workflow in (row.carrier, f"fix/{row.org_id}/{row.id}")]


async def superseder(session: AsyncSession, plan: PlanId) -> PlanId | None:
    """The plan that took this one's place."""
    found = await session.scalar(select(PlanRow.id).where(PlanRow.supersedes == plan).limit(1))
    return PlanId.of(found) if found else None


async def set_status(session: AsyncSession, plan: PlanId, status: PlanStatus) -> None:
    """Raises ConflictError: a plan has no such move."""
    before = [str(each) for each in PlanStatus if may_follow(each, status)]
    there = update(PlanRow).where(col(PlanRow.id) == plan, col(PlanRow.status).in_(before))
    moved = there.values(status=str(status), updated_at=func.suture.now()).returning(col(PlanRow.id))
    if (await session.execute(moved)).first() is None:
        raise ConflictError(f"the plan {plan.shown} cannot become {status} any more")


async def add_preflight(session: AsyncSession, state: PlanState, preflight: Preflight) -> None:
    content = preflight.model_dump(mode="json")
    statement = insert(PreflightRow).values(
        org_id=state.plan.org,
        id=preflight.id,
        plan_id=preflight.plan,
        digest=preflight.digest,
        tier=str(preflight.tier),
        passed=preflight.passed,
        content=content,
        valid_until=preflight.valid_until,
    )
    await session.execute(statement)
    summary = {"id": preflight.id.shown, "tier": str(preflight.tier), "passed": preflight.passed}
    await session.execute(update(PlanRow).where(col(PlanRow.id) == preflight.plan).values(preflight=summary))


async def latest_preflight(session: AsyncSession, plan: PlanId) -> Preflight | None:
    statement = select(PreflightRow).where(PreflightRow.plan_id == plan).order_by(col(PreflightRow.id).desc()).limit(1)
    row = await session.scalar(statement)
    return Preflight.model_validate(row.content) if row else None


async def _one(session: AsyncSession, statement: Any, plan: PlanId) -> PlanState:
    found = (await session.execute(statement, execution_options={"populate_existing": True})).first()
    if found is None:
        raise NotFoundError(f"no plan {plan.shown}")
    return _to_state(*found)


def _state() -> Any:
    """A plan, and when the last run that waits for its incident gives up."""
    waits = (col(ExecutionRow.incident_id) == PlanRow.incident_id) & col(ExecutionRow.finished_at).is_(None)
    return select(PlanRow, select(func.max(ExecutionRow.heal_by)).where(waits).scalar_subquery())


def _to_state(row: PlanRow, heal_by: datetime | None) -> PlanState:
    return PlanState(
        plan=FixPlan.model_validate(row.content),
        digest=row.digest,
        status=PlanStatus(row.status),
        carrier=row.carrier,
        created_at=row.created_at,
        updated_at=row.updated_at,
        heal_by=heal_by,
    )
