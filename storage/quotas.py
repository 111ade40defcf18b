"""How much an org may use per minute, and has used, as rows."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Text, case, cast, func
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import Instant, OrgId
from domain.identity import Allowance, Quota
from storage.engine import moment


class QuotaRow(SQLModel, table=True):
    __tablename__ = "quotas"
    org_id: UUID = Field(primary_key=True)
    name: str = Field(primary_key=True)
    per_minute: int
    updated_at: datetime | None = Field(default=None, sa_column=moment())


class QuotaUsageRow(SQLModel, table=True):
    __tablename__ = "quota_usage"
    org_id: UUID = Field(primary_key=True)
    name: str = Field(primary_key=True)
    minute: datetime = Field(sa_column=moment())
    used: int


async def get(session: AsyncSession, name: str) -> Quota | None:
    row = await session.scalar(select(QuotaRow).where(QuotaRow.name == name))
    return None if row is None else _to_value(row)


async def named(session: AsyncSession, names: Collection[str]) -> list[Quota]:
    """Those of these quotas that the org has set."""
    rows = await session.scalars(select(QuotaRow).where(col(QuotaRow.name) == func.any(cast(sorted(names), ARRAY(Text)))))
    return [_to_value(row) for row in rows]


async def count(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(QuotaRow))).scalar_one()


async def find(session: AsyncSession, *, limit: int = 200) -> list[Quota]:
    rows = await session.scalars(select(QuotaRow).order_by(QuotaRow.name).limit(limit))
    return [_to_value(row) for row in rows]


async def put(session: AsyncSession, org: OrgId, quota: Quota) -> None:
    statement = insert(QuotaRow).values(quota.model_dump() | {"org_id": org})
    changed = {"per_minute": quota.per_minute, "updated_at": func.suture.now()}
    await session.execute(statement.on_conflict_do_update(index_elements=["org_id", "name"], set_=changed))


async def spend(session: AsyncSession, org: OrgId, name: str, amount: int) -> tuple[int, Instant]:
    """What was used in the minute of the database's clock, this amount included, and when that minute began."""
    statement = _spent(org, name, amount)
    spent, began = (await session.execute(statement.returning(col(QuotaUsageRow.used), col(QuotaUsageRow.minute)))).one()
    return spent, began


async def spent(session: AsyncSession, name: str) -> tuple[int, Instant]:
    """As `spend`, but nothing more is used."""
    minute = func.date_trunc("minute", func.suture.now())
    is_now = col(QuotaUsageRow.minute) >= minute
    used = select(QuotaUsageRow.used).where(QuotaUsageRow.name == name, is_now).scalar_subquery()
    found = (await session.execute(select(func.coalesce(used, 0), minute))).one()
    return found[0], found[1]


async def allowance(session: AsyncSession, org: OrgId, name: str, *, default: int) -> Allowance:
    """Count one, and say what that leaves, in one statement.

    A count that a crash of the server loses is no loss, so nobody waits for the disk.
    """
    own = select(QuotaRow.per_minute).where(QuotaRow.name == name).scalar_subquery()
    gone = func.extract("epoch", func.suture.now() - col(QuotaUsageRow.minute))
    unhurried = func.set_config("synchronous_commit", "off", True)
    columns = (func.coalesce(own, default), col(QuotaUsageRow.used), gone, unhurried)
    allowed, used, seconds, _ = (await session.execute(_spent(org, name, 1).returning(*columns))).one()
    return Allowance(per_minute=allowed, used=used, resets_in=max(1, 60 - int(seconds)))


def _spent(org: OrgId, name: str, amount: int) -> Insert:
    minute = func.date_trunc("minute", func.suture.now())
    statement = insert(QuotaUsageRow).values(org_id=org, name=name, minute=minute, used=amount)
    fresh, used = statement.excluded, col(QuotaUsageRow.used)
    total = case((col(QuotaUsageRow.minute) >= fresh.minute, used + fresh.used), else_=fresh.used)
    latest = func.greatest(col(QuotaUsageRow.minute), fresh.minute)
    return statement.on_conflict_do_update(index_elements=["org_id", "name"], set_={"minute": latest, "used": total})


def _to_value(row: QuotaRow) -> Quota:
    return Quota(name=row.name, per_minute=row.per_minute)
