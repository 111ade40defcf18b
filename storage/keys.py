"""Data keys, wrapped, and secrets, sealed: nothing here is readable without the master key."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import Instant, OrgId, Value
from domain.errors import NotFoundError
from storage.engine import moment


class OrgKeyRow(SQLModel, table=True):
    __tablename__ = "org_keys"
    org_id: UUID = Field(primary_key=True)
    id: str = Field(primary_key=True)
    wrapped: bytes
    created_at: datetime | None = Field(default=None, sa_column=moment())
    retired_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class PlatformKeyRow(SQLModel, table=True):
    __tablename__ = "platform_keys"
    id: str = Field(primary_key=True)
    wrapped: bytes
    created_at: datetime | None = Field(default=None, sa_column=moment())
    retired_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class SecretRow(SQLModel, table=True):
    __tablename__ = "secrets"
    org_id: UUID = Field(primary_key=True)
    name: str = Field(primary_key=True)
    environment: str = Field(primary_key=True)
    key_id: str
    sealed: bytes
    updated_at: datetime | None = Field(default=None, sa_column=moment())


class WrappedKey(Value):
    id: str
    wrapped: bytes


class SealedSecret(Value):
    name: str
    environment: str
    key_id: str
    sealed: bytes
    updated_at: Instant


async def current(session: AsyncSession, org: OrgId | None) -> WrappedKey | None:
    """The newest key of the org, or of the platform."""
    row = PlatformKeyRow if org is None else OrgKeyRow
    statement = select(row).where(col(row.retired_at).is_(None)).order_by(col(row.created_at).desc(), col(row.id).desc())
    return _to_key(await session.scalar(statement.limit(1)))


async def get(session: AsyncSession, org: OrgId | None, key_id: str) -> WrappedKey | None:
    row = PlatformKeyRow if org is None else OrgKeyRow
    return _to_key(await session.scalar(select(row).where(row.id == key_id)))


async def add(session: AsyncSession, org: OrgId | None, key: WrappedKey) -> None:
    if org is None:
        await session.execute(insert(PlatformKeyRow).values(key.model_dump()))
    else:
        await session.execute(insert(OrgKeyRow).values(key.model_dump() | {"org_id": org}))


async def put_secret(session: AsyncSession, org: OrgId, secret: SealedSecret) -> bool:
    """Whether there was none of this name before."""
    values = secret.model_dump(exclude={"updated_at"})
    replaced = update(SecretRow).where(col(SecretRow.name) == secret.name, col(SecretRow.environment) == secret.environment)
    written = await session.execute(replaced.values(values | {"updated_at": func.suture.now()}).returning(col(SecretRow.name)))
    if written.first() is not None:
        return False
    await session.execute(insert(SecretRow).values(values | {"org_id": org}))
    return True


async def get_secrets(session: AsyncSession, environment: str, names: frozenset[str]) -> list[SealedSecret]:
    """Raises NotFoundError: names those that the environment does not have."""
    statement = select(SecretRow).where(SecretRow.environment == environment, col(SecretRow.name).in_(names))
    found = [_to_secret(row) for row in await session.scalars(statement)]
    missing = names - {secret.name for secret in found}
    if missing:
        raise NotFoundError(f"no secret {', '.join(sorted(missing))} in the environment {environment}")
    return found


async def lock_secrets(session: AsyncSession, *, not_under: str, limit: int) -> list[SealedSecret]:
    """Some secrets that are sealed under another key than `not_under`."""
    statement = select(SecretRow).where(SecretRow.key_id != not_under).order_by(col(SecretRow.name), col(SecretRow.environment))
    return [_to_secret(row) for row in await session.scalars(statement.limit(limit).with_for_update())]


def _to_key(row: OrgKeyRow | PlatformKeyRow | None) -> WrappedKey | None:
    return None if row is None else WrappedKey(id=row.id, wrapped=row.wrapped)


def _to_secret(row: SecretRow) -> SealedSecret:
    return SealedSecret.model_validate(row.model_dump(exclude={"org_id"}))
