"""Incidents: at most one open per signature, and one row lock for all that joins or closes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import Boolean, ColumnElement, Update, cast, func, literal_column, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import IncidentId, OrgId, WorkflowId
from domain.errors import ConflictError, NotFoundError
from domain.incident import Incident, Severity, Status, may_follow
from storage.engine import document, moment

_IS_FRESH: ColumnElement[bool] = literal_column("xmax = 0", Boolean)
"""A row that an insert has found there is locked by it first, which its `xmax` tells; nothing has touched a fresh one."""


class IncidentRow(SQLModel, table=True):
    __tablename__ = "incidents"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    signature: str
    title: str
    service: str
    environment: str
    severity: str
    status: str
    first_seen_at: datetime | None = Field(default=None, sa_column=moment())
    last_seen_at: datetime | None = Field(default=None, sa_column=moment())
    started_at: datetime | None = Field(default=None, sa_column=moment())
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    event_count: int = 1
    confidence: float | None = None
    slo_impact: dict[str, Any] = Field(default_factory=dict, sa_column=document())
    workflow_id: UUID | None = None
    carrier: str
    meta: dict[str, Any] = Field(default_factory=dict, sa_column=document())


async def open_or_join(
    session: AsyncSession,
    org: OrgId,
    *,
    signature: str,
    title: str,
    service: str,
    environment: str,
    severity: Severity,
    workflow: WorkflowId | None,
    carrier: str,
    events: int = 1,
) -> tuple[Incident, bool]:
    """The open incident with `signature`, locked, and whether this call opened it; what is known counts `events` more."""
    fresh = {
        "org_id": org,
        "signature": signature,
        "title": title,
        "service": service,
        "environment": environment,
        "severity": str(severity),
        "status": str(Status.OPEN),
        "workflow_id": workflow,
        "carrier": carrier,
        "event_count": events,
        "slo_impact": {},
        "meta": {},
    }
    statement = (
        insert(IncidentRow)
        .values(**fresh, id=func.uuidv7())
        .on_conflict_do_update(
            index_elements=["org_id", "environment", "service", "signature"],
            index_where=col(IncidentRow.ended_at).is_(None),
            set_={"event_count": IncidentRow.event_count + events, "last_seen_at": func.suture.now()},
        )
        .returning(IncidentRow, _IS_FRESH)
    )
    row, is_fresh = (await session.execute(statement, execution_options={"populate_existing": True})).one()
    return to_value(row), is_fresh


async def note(session: AsyncSession, incident: Incident, news: Mapping[str, JsonValue]) -> Incident:
    """The incident with these in its `meta`."""
    changed = update(IncidentRow).where(col(IncidentRow.id) == incident.id)
    told = changed.values(meta=col(IncidentRow.meta).op("||")(cast(dict(news), document().type))).returning(IncidentRow)
    return to_value((await session.scalars(told, execution_options={"populate_existing": True})).one())


async def get(session: AsyncSession, incident: IncidentId) -> Incident:
    """Raises NotFoundError: no such incident in the caller's org."""
    return await _one(session, select(IncidentRow).where(IncidentRow.id == incident), incident)


async def get_for_update(session: AsyncSession, incident: IncidentId) -> Incident:
    """As `get`, locked until the transaction ends."""
    return await _one(session, select(IncidentRow).where(IncidentRow.id == incident).with_for_update(), incident)


async def move(session: AsyncSession, incident: Incident, status: Status, *, ended: bool = False, **values: Any) -> Incident:
    """The incident with its new status, stored.

    Raises:
        ConflictError: the story has no such move, or has ended.
    """
    if ended:
        values["ended_at"] = func.suture.now()
    moved = _moved(incident.id, status).values(**values).returning(IncidentRow)
    row = await session.scalar(moved, execution_options={"populate_existing": True})
    if row is None:
        raise ConflictError(f"the incident is {incident.status} and cannot become {status}")
    return to_value(row)


async def progress(session: AsyncSession, incident: IncidentId, status: Status) -> None:
    """Show how far the story is, unless it has ended."""
    await session.execute(_moved(incident, status))


def _moved(incident: IncidentId, status: Status) -> Update:
    """A rest that has ended stays ended too."""
    before = [str(each) for each in Status if may_follow(each, status)]
    there = update(IncidentRow).where(
        col(IncidentRow.id) == incident, col(IncidentRow.status).in_(before), col(IncidentRow.ended_at).is_(None)
    )
    return there.values(status=str(status)).execution_options(synchronize_session=False)


async def page(
    session: AsyncSession, *, status: Status | None, service: str | None, after: UUID | None, limit: int
) -> list[Incident]:
    """Incidents, the newest first."""
    statement = select(IncidentRow).order_by(col(IncidentRow.id).desc()).limit(limit)
    if status is not None:
        statement = statement.where(IncidentRow.status == str(status))
    if service is not None:
        statement = statement.where(IncidentRow.service == service)
    if after is not None:
        statement = statement.where(col(IncidentRow.id) < after)
    return [to_value(row) for row in await session.scalars(statement)]


async def carriers_at_work(session: AsyncSession, *, service: str | None, limit: int) -> list[str]:
    """The engine's workflow ids of the incidents that somebody still works on."""
    statement = select(IncidentRow.carrier).where(col(IncidentRow.ended_at).is_(None)).limit(limit)
    if service is not None:
        statement = statement.where(IncidentRow.service == service)
    return list(await session.scalars(statement))


async def _one(session: AsyncSession, statement: Any, incident: IncidentId) -> Incident:
    row = await session.scalar(statement, execution_options={"populate_existing": True})
    if row is None:
        raise NotFoundError(f"no incident {incident.shown}")
    return to_value(row)


def to_value(row: IncidentRow) -> Incident:
    return Incident(
        id=IncidentId.of(row.id),
        org=OrgId.of(row.org_id),
        title=row.title,
        signature=row.signature,
        service=row.service,
        environment=row.environment,
        severity=Severity(row.severity),
        status=Status(row.status),
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        event_count=row.event_count,
        confidence=float(row.confidence) if row.confidence is not None else None,
        workflow_id=WorkflowId.of(row.workflow_id) if row.workflow_id else None,
        carrier=row.carrier,
        slo_impact=row.slo_impact,
        meta=row.meta,
    )
