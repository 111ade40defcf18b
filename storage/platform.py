"""What belongs to no org: the orgs themselves, the platform's switches, and its own ledger."""

from datetime import datetime

from sqlalchemy import exists, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import OrgId
from domain.errors import NotFoundError
from domain.identity import Environment, Org
from domain.ledger import PLATFORM, Entry
from storage.identity import EnvironmentRow, OrgRow

_LOCK = 0x706C_6174


class PlatformAuditRow(SQLModel, table=True):
    __tablename__ = "platform_audit_logs"
    seq: int = Field(primary_key=True)
    actor_id: str
    action: str
    resource_type: str
    resource_id: str
    created_at: datetime
    previous: str
    body: str
    hash: str


async def add_org(session: AsyncSession, name: str) -> Org | None:
    """The new org, or None if there is one of this name."""
    statement = insert(OrgRow).values(name=name, settings={}).on_conflict_do_nothing().returning(OrgRow)
    row = await session.scalar(statement)
    if row is None:
        return None
    alone = ~exists().where(col(OrgRow.id) != row.id)
    await session.execute(update(OrgRow).where(col(OrgRow.id) == row.id, alone).values(is_first=True))
    return _to_org(row)


async def add_environment(session: AsyncSession, org: OrgId, environment: Environment) -> None:
    values = environment.model_dump() | {"org_id": org}
    await session.execute(insert(EnvironmentRow).values(values).on_conflict_do_nothing())


async def org_named(session: AsyncSession, name: str) -> Org:
    """Raises NotFoundError: no org of this name."""
    row = await session.scalar(select(OrgRow).where(OrgRow.name == name).with_for_update())
    if row is None:
        raise NotFoundError(f"no org is called {name}")
    return _to_org(row)


async def list_orgs(session: AsyncSession, *, after: OrgId | None, limit: int) -> list[Org]:
    statement = select(OrgRow).order_by(col(OrgRow.id)).limit(limit)
    if after is not None:
        statement = statement.where(col(OrgRow.id) > after)
    return [_to_org(row) for row in await session.scalars(statement)]


async def set_active(session: AsyncSession, org: OrgId, *, is_active: bool) -> None:
    await session.execute(update(OrgRow).where(col(OrgRow.id) == org).values(is_active=is_active))


async def last_entry(session: AsyncSession) -> Entry | None:
    """The end of the platform's chain, which nobody else continues before this transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    row = await session.scalar(select(PlatformAuditRow).order_by(col(PlatformAuditRow.seq).desc()).limit(1))
    return None if row is None else _to_entry(row)


async def add_entry(session: AsyncSession, entry: Entry) -> None:
    record = entry.record
    copies = record.model_dump(include={"actor_id", "action", "resource_type", "resource_id"})
    chained = entry.model_dump(include={"seq", "previous", "body", "hash"})
    await session.execute(insert(PlatformAuditRow).values(**copies, **chained, created_at=record.at))


async def entries(session: AsyncSession, *, after: int, limit: int) -> list[Entry]:
    statement = select(PlatformAuditRow).where(col(PlatformAuditRow.seq) > after).order_by(col(PlatformAuditRow.seq))
    return [_to_entry(row) for row in await session.scalars(statement.limit(limit))]


def _to_org(row: OrgRow) -> Org:
    return Org(id=OrgId.of(row.id), name=row.name, is_active=row.is_active, automatic_released=row.automatic_released)


def _to_entry(row: PlatformAuditRow) -> Entry:
    return Entry(org=PLATFORM, seq=row.seq, previous=row.previous, body=row.body, hash=row.hash)
