"""Signals, appended and never changed, and the keys by which a repeated one is known."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import JSON, Text, bindparam, cast, column, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import IncidentId, OrgId, SignalId, WorkflowId
from domain.errors import NotFoundError
from domain.signal import Signal, SignalKind
from storage.engine import document, moment, transaction_number


class SignalRow(SQLModel, table=True):
    __tablename__ = "signals"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    received_at: datetime | None = Field(default=None, sa_column=moment())
    ts: datetime = Field(sa_column=moment())
    source: str
    kind: str
    event_type: str | None = None
    key: str = ""
    value: float | None = None
    text: str | None = None
    service: str | None = None
    environment: str | None = None
    severity: str | None = None
    workflow_id: UUID | None = None
    incident_id: UUID | None = None
    idempotency_key: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    labels: dict[str, Any] = Field(sa_column=document())
    payload: dict[str, Any] = Field(sa_column=document())
    meta: dict[str, Any] = Field(default_factory=dict, sa_column=document())
    count: int = 1
    written: int | None = Field(default=None, sa_column=transaction_number())


class SignalKeyRow(SQLModel, table=True):
    __tablename__ = "signal_keys"
    org_id: UUID = Field(primary_key=True)
    idempotency_key: str = Field(primary_key=True)
    signal_id: UUID
    created_at: datetime | None = Field(default=None, sa_column=moment())


_TABLE = SQLModel.metadata.tables["signals"]
_BY_THE_DATABASE = {"received_at", "written"}
_SENT = [column(each.name, each.type) for each in _TABLE.columns if each.name not in _BY_THE_DATABASE]
_ROWS = (
    func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    .table_valued(*_SENT)
    .render_derived(name="sent", with_types=True)
)
_APPEND = insert(_TABLE).from_select([each.name for each in _SENT], _ROWS.select(), include_defaults=False)
_CLAIM = text(
    "insert into signal_keys (org_id, idempotency_key, signal_id)"
    " select :org, sent.* from unnest(cast(:keys as text[]), cast(:signals as uuid[])) as sent on conflict do nothing"
)


async def claim_keys(session: AsyncSession, org: OrgId, wanted: Mapping[str, SignalId]) -> dict[str, SignalId]:
    """The signal that holds each key: the one that wants it if it is the first, else the one that was.

    The keys are claimed in their order, so that two batches with the same ones wait for each other and never in a ring.
    """
    keys = sorted(wanted)
    rows = {"org": org, "keys": keys, "signals": [wanted[key] for key in keys]}
    await session.execute(_CLAIM, rows)
    held = select(SignalKeyRow.idempotency_key, SignalKeyRow.signal_id).where(col(SignalKeyRow.idempotency_key).in_(keys))
    return {key: SignalId.of(holder) for key, holder in await session.execute(held)}


async def add(session: AsyncSession, org: OrgId, batch: Mapping[SignalId, Signal]) -> None:
    """Append the batch in one statement, however long it is, each signal under its id."""
    rows = [vars(each) | {"id": own, "org_id": org} for own, each in batch.items()]
    await session.execute(_APPEND, {"rows": to_json(rows).decode()})


async def get(session: AsyncSession, signal: SignalId) -> Signal:
    """Raises NotFoundError: no such signal in the caller's org."""
    row = await session.scalar(select(SignalRow).where(SignalRow.id == signal))
    if row is None:
        raise NotFoundError(f"no event {signal.shown}")
    return _to_value(row)


async def page(
    session: AsyncSession, *, workflow: WorkflowId | None, incident: IncidentId | None, after: UUID | None, limit: int
) -> list[Signal]:
    """Signals, the newest first."""
    statement = select(SignalRow).order_by(col(SignalRow.id).desc()).limit(limit)
    if workflow is not None:
        statement = statement.where(SignalRow.workflow_id == workflow)
    if incident is not None:
        statement = statement.where(SignalRow.incident_id == incident)
    if after is not None:
        statement = statement.where(col(SignalRow.id) < after)
    return [_to_value(row) for row in await session.scalars(statement)]


def _to_value(row: SignalRow) -> Signal:
    return Signal(
        id=SignalId.of(row.id),
        source=row.source,
        kind=SignalKind(row.kind),
        ts=row.ts,
        event_type=row.event_type,
        key=row.key,
        value=row.value,
        text=row.text,
        service=row.service,
        environment=row.environment,
        severity=row.severity,
        workflow_id=WorkflowId.of(row.workflow_id) if row.workflow_id else None,
        incident_id=IncidentId.of(row.incident_id) if row.incident_id else None,
        idempotency_key=row.idempotency_key,
        correlation_id=row.correlation_id,
        trace_id=row.trace_id,
        labels=row.labels,
        payload=row.payload,
        meta=row.meta,
        received_at=row.received_at,
        count=row.count,
    )
