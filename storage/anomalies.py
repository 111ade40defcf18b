"""Anomalies: of each subject of a detector at most one is open."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.anomaly import Anomaly, AnomalyStatus, SeenAnomaly
from domain.base import AnomalyId, IncidentId
from domain.refs import MonitorRef
from storage.engine import document, moment

_HOLD = text("select pg_advisory_xact_lock(hashtextextended(suture.org()::text || '/' || :service, 7))")
_OPEN = (str(AnomalyStatus.SUSPECTED), str(AnomalyStatus.CONFIRMED))


class AnomalyRow(SQLModel, table=True):
    __tablename__ = "anomalies"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    environment: str
    service: str
    detector: str
    subject: str
    status: str
    mode: str
    score: float
    reasons: list[str] = Field(sa_column=document())
    evidence: dict[str, Any] = Field(default_factory=dict, sa_column=document())
    odd: int
    calm: int
    flaps: int = 0
    began_at: datetime = Field(sa_column=moment())
    last_odd_at: datetime = Field(sa_column=moment())
    seen_at: datetime = Field(sa_column=moment())
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    incident_id: UUID | None = None


async def open_ones(session: AsyncSession, ref: MonitorRef) -> list[Anomaly]:
    """What is suspected or confirmed of the service, the oldest first."""
    wanted = select(AnomalyRow).where(*_of(ref), col(AnomalyRow.status).in_(_OPEN)).order_by(col(AnomalyRow.id))
    return [_to_value(row) for row in await session.scalars(wanted)]


async def hold(session: AsyncSession, ref: MonitorRef) -> None:
    """Until the transaction ends nobody else begins, changes or ends an anomaly of the service."""
    await session.execute(_HOLD, {"service": f"{ref.environment}/{ref.service}"})


async def held(session: AsyncSession, ref: MonitorRef) -> list[Anomaly]:
    """As `open_ones`, and they are held."""
    await hold(session, ref)
    return await open_ones(session, ref)


async def calm_incidents(session: AsyncSession, among: Collection[IncidentId]) -> list[IncidentId]:
    """Those of these incidents that no open anomaly belongs to any more."""
    if not among:
        return []
    is_open = col(AnomalyRow.status).in_(_OPEN)
    wanted = select(AnomalyRow.incident_id).where(col(AnomalyRow.incident_id).in_(among), is_open)
    troubled = {IncidentId.of(each) for each in await session.scalars(wanted) if each}
    return sorted(set(among) - troubled)


async def page(session: AsyncSession, ref: MonitorRef, *, limit: int) -> list[Anomaly]:
    """The service's anomalies, the newest first."""
    wanted = select(AnomalyRow).where(*_of(ref)).order_by(col(AnomalyRow.began_at).desc(), col(AnomalyRow.id).desc())
    return [_to_value(row) for row in await session.scalars(wanted.limit(limit))]


async def find(
    session: AsyncSession,
    *,
    service: str | None,
    environment: str | None,
    detector: str | None,
    is_open: bool | None,
    after: UUID | None,
    limit: int,
) -> list[SeenAnomaly]:
    """Anomalies of the org, the newest first."""
    statement = select(AnomalyRow).order_by(col(AnomalyRow.id).desc()).limit(limit)
    for column, wanted in (
        (AnomalyRow.service, service),
        (AnomalyRow.environment, environment),
        (AnomalyRow.detector, detector),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if is_open is not None:
        status = col(AnomalyRow.status)
        statement = statement.where(status.in_(_OPEN) if is_open else status.not_in(_OPEN))
    if after is not None:
        statement = statement.where(col(AnomalyRow.id) < after)
    return [
        SeenAnomaly.model_validate(dict(_to_value(row)) | {"environment": row.environment, "service": row.service})
        for row in await session.scalars(statement)
    ]


async def flaps(session: AsyncSession, ref: MonitorRef, *, within: timedelta) -> dict[tuple[str, str], int]:
    """How often each subject had come back before, of those that were over no longer ago than this."""
    is_recent = col(AnomalyRow.ended_at) > func.suture.now() - within
    key = (col(AnomalyRow.detector), col(AnomalyRow.subject))
    ended = col(AnomalyRow.status) == str(AnomalyStatus.OVER)
    wanted = select(*key, func.max(col(AnomalyRow.flaps))).where(*_of(ref), ended, is_recent).group_by(*key)
    return {(detector, subject): number for detector, subject, number in await session.execute(wanted)}


async def put(session: AsyncSession, ref: MonitorRef, changed: Sequence[Anomaly]) -> None:
    """Store each as it is now."""
    if not changed:
        return
    rows = [each.model_dump() | {"org_id": ref.org, "environment": ref.environment, "service": ref.service} for each in changed]
    statement = insert(AnomalyRow)
    kept = {"org_id", "id", "environment", "service", "detector", "subject", "mode", "began_at"}
    news = {name: statement.excluded[name] for name in AnomalyRow.model_fields if name not in kept}
    await session.execute(statement.on_conflict_do_update(index_elements=["org_id", "id"], set_=news), rows)


def _of(ref: MonitorRef) -> tuple[ColumnElement[bool], ...]:
    return col(AnomalyRow.environment) == ref.environment, col(AnomalyRow.service) == ref.service


def _to_value(row: AnomalyRow) -> Anomaly:
    known: dict[str, Any] = row.model_dump(exclude={"org_id", "environment", "service"})
    incident = IncidentId.of(row.incident_id) if row.incident_id else None
    return Anomaly.model_validate(known | {"id": AnomalyId.of(row.id), "incident_id": incident})
