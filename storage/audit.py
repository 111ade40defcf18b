"""The ledger as rows: one head per org, entries that nobody changes, and what changed apart from them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Select, func, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.audit import AuditFilter, AuditItem
from domain.base import Digest, IncidentId, Instant, OrgId, Value
from domain.ledger import GENESIS, ActorType, Entry


class AuditHeadRow(SQLModel, table=True):
    __tablename__ = "audit_heads"
    org_id: UUID = Field(primary_key=True)
    seq: int
    hash: str


class AuditRow(SQLModel, table=True):
    __tablename__ = "audit_logs"
    org_id: UUID = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    actor_type: str
    actor_id: str
    action: str
    resource_type: str
    resource_id: str
    trace_id: str | None = None
    correlation_id: str | None = None
    incident_id: UUID | None = None
    created_at: datetime
    previous: str
    body: str
    hash: str


class AuditDetailRow(SQLModel, table=True):
    __tablename__ = "audit_details"
    org_id: UUID = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    before_json: Any = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))
    after_json: Any = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))


class Place(Value):
    """Where the next entry goes, and the moment at which the place was taken."""

    seq: int
    previous: Digest
    at: Instant


class Stored(Value):
    """An entry, with the copies of its fields and the details that must still agree with it."""

    entry: Entry
    item: AuditItem


async def take_place(session: AsyncSession, org: OrgId) -> Place:
    """The next place in the chain; whoever asks next waits until this transaction ends."""
    statement = (
        update(AuditHeadRow)
        .where(col(AuditHeadRow.org_id) == org)
        .values(seq=AuditHeadRow.seq + 1)
        .returning(col(AuditHeadRow.seq), col(AuditHeadRow.hash), func.suture.now())
    )
    taken = (await session.execute(statement)).first()
    if taken is None:
        begin = insert(AuditHeadRow).values(org_id=org, seq=0, hash=GENESIS).on_conflict_do_nothing()
        await session.execute(begin)
        taken = (await session.execute(statement)).one()
    seq, previous, at = taken
    return Place(seq=seq, previous=previous, at=at)


async def add(session: AsyncSession, entry: Entry, *, before: Any, after: Any, incident: IncidentId | None) -> None:
    """Store the entry, its details and the new head in one statement."""
    key = {"org_id": entry.org, "seq": entry.seq}
    copies = entry.record.model_dump(exclude={"org_id", "seq", "at", "before_digest", "after_digest"})
    chained = entry.model_dump(include={"previous", "body", "hash"})
    log = insert(AuditRow).values(**key, **copies, **chained, incident_id=incident, created_at=entry.record.at)
    head = update(AuditHeadRow).where(col(AuditHeadRow.org_id) == entry.org).values(hash=entry.hash).add_cte(log.cte("log"))
    if before is not None or after is not None:
        head = head.add_cte(insert(AuditDetailRow).values(**key, before_json=before, after_json=after).cte("detail"))
    await session.execute(head.execution_options(synchronize_session=False))


async def head(session: AsyncSession) -> tuple[int, Digest]:
    """How many entries there should be, and the hash of the last."""
    row = await session.scalar(select(AuditHeadRow))
    return (row.seq, row.hash) if row else (0, GENESIS)


async def batch(session: AsyncSession, org: OrgId, *, after: int, upto: int, limit: int) -> list[Stored]:
    """Entries in the order of their seq."""
    statement = (
        _with_details().where(col(AuditRow.seq) > after, col(AuditRow.seq) <= upto).order_by(col(AuditRow.seq)).limit(limit)
    )
    return [Stored(entry=_to_entry(org, log), item=_to_item(log, detail)) for log, detail in await session.execute(statement)]


async def hashes(session: AsyncSession, *, after: int, upto: int, limit: int) -> Sequence[Digest]:
    statement = select(AuditRow.hash).where(col(AuditRow.seq) > after, col(AuditRow.seq) <= upto)
    return (await session.scalars(statement.order_by(col(AuditRow.seq)).limit(limit))).all()


async def find(session: AsyncSession, wanted: AuditFilter, *, before: int | None, limit: int) -> list[AuditItem]:
    """The newest first, older than `before`."""
    statement = _with_details().order_by(col(AuditRow.seq).desc()).limit(limit)
    if before is not None:
        statement = statement.where(col(AuditRow.seq) < before)
    columns = {"actor": AuditRow.actor_id, "incident": AuditRow.incident_id}
    for name, value in wanted.model_dump(exclude_none=True).items():
        statement = statement.where(columns.get(name, getattr(AuditRow, name, None)) == value)
    return [_to_item(log, detail) for log, detail in await session.execute(statement)]


def _with_details() -> Select[AuditRow, AuditDetailRow | None]:
    same = (col(AuditDetailRow.org_id) == AuditRow.org_id) & (col(AuditDetailRow.seq) == AuditRow.seq)
    return select(AuditRow, AuditDetailRow).join(AuditDetailRow, same, isouter=True)


def _to_entry(org: OrgId, row: AuditRow) -> Entry:
    return Entry(org=org, seq=row.seq, previous=row.previous, body=row.body, hash=row.hash)


def _to_item(row: AuditRow, detail: AuditDetailRow | None) -> AuditItem:
    return AuditItem(
        seq=row.seq,
        actor_type=ActorType(row.actor_type),
        actor_id=row.actor_id,
        action=row.action,
        resource_type=row.resource_type,
        resource_id=row.resource_id,
        created_at=row.created_at,
        trace_id=row.trace_id,
        correlation_id=row.correlation_id,
        incident=None if row.incident_id is None else IncidentId.of(row.incident_id),
        before=detail.before_json if detail else None,
        after=detail.after_json if detail else None,
        hash=row.hash,
    )


async def story(session: AsyncSession, incident: IncidentId, *, after: int, limit: int) -> list[AuditItem]:
    """The incident's entries with a seq above `after`, the oldest first."""
    statement = (
        _with_details()
        .where(col(AuditRow.incident_id) == incident, col(AuditRow.seq) > after)
        .order_by(col(AuditRow.seq))
        .limit(limit)
    )
    return [_to_item(log, detail) for log, detail in await session.execute(statement)]


async def count(session: AsyncSession, *, action: str, resource_id: str) -> int:
    """How often `action` was done to a resource."""
    statement = select(func.count()).select_from(AuditRow).where(AuditRow.action == action, AuditRow.resource_id == resource_id)
    return (await session.scalars(statement)).one()
