"""Orgs, environments and principals as rows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Column, Text, false, func, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import OrgId, PrincipalId
from domain.errors import ConflictError, NotFoundError
from domain.identity import Environment, Kind, Org, Principal, Role
from domain.principals import NewPrincipal
from storage.engine import document, moment


class OrgRow(SQLModel, table=True):
    __tablename__ = "orgs"
    id: UUID = Field(primary_key=True, sa_column_kwargs={"server_default": func.uuidv7()})
    name: str
    plan: str = "pro"
    is_active: bool = True
    settings: dict[str, Any] = Field(default_factory=dict, sa_column=document())
    automatic_released: bool = False
    is_first: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=false()))
    created_at: datetime | None = Field(default=None, sa_column=moment())


class EnvironmentRow(SQLModel, table=True):
    __tablename__ = "environments"
    org_id: UUID = Field(primary_key=True)
    name: str = Field(primary_key=True)
    is_production: bool = True
    created_at: datetime | None = Field(default=None, sa_column=moment())


class PrincipalRow(SQLModel, table=True):
    __tablename__ = "principals"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True, sa_column_kwargs={"server_default": func.uuidv7()})
    kind: str
    name: str
    email: str | None = None
    tz: str = "UTC"
    owner_id: UUID | None = None
    roles: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    is_active: bool = True
    created_at: datetime | None = Field(default=None, sa_column=moment())


async def get_org(session: AsyncSession, org: OrgId) -> Org:
    """Raises NotFoundError: no such org, or not the transaction's."""
    row = await session.scalar(select(OrgRow).where(OrgRow.id == org))
    if row is None:
        raise NotFoundError(f"no org {org.shown}")
    return Org(id=OrgId.of(row.id), name=row.name, is_active=row.is_active, automatic_released=row.automatic_released)


async def is_first(session: AsyncSession, org: OrgId) -> bool:
    """Whether the installation was made for this org; nothing that HTTP reaches can change that."""
    return bool(await session.scalar(select(OrgRow.is_first).where(OrgRow.id == org)))


async def set_automatic(session: AsyncSession, org: OrgId, *, released: bool) -> bool:
    """Whether this call changed it."""
    changed = (
        update(OrgRow)
        .where(col(OrgRow.id) == org, col(OrgRow.automatic_released).is_not(released))
        .values(automatic_released=released)
        .returning(col(OrgRow.id))
    )
    return (await session.execute(changed)).first() is not None


async def environment(session: AsyncSession, name: str) -> Environment:
    """Raises NotFoundError: no such environment in the caller's org."""
    found = await find_environment(session, name)
    if found is None:
        raise NotFoundError("no such environment")
    return found


async def find_environment(session: AsyncSession, name: str) -> Environment | None:
    row = await session.scalar(select(EnvironmentRow).where(EnvironmentRow.name == name))
    return None if row is None else Environment(name=row.name, is_production=row.is_production)


async def environments(session: AsyncSession) -> tuple[Environment, ...]:
    rows = await session.scalars(select(EnvironmentRow).order_by(col(EnvironmentRow.name)))
    return tuple(Environment(name=row.name, is_production=row.is_production) for row in rows)


async def add_environment(session: AsyncSession, org: OrgId, wanted: Environment) -> None:
    """Raises ConflictError: the name is taken."""
    statement = insert(EnvironmentRow).values(wanted.model_dump() | {"org_id": org}).on_conflict_do_nothing()
    if (await session.execute(statement.returning(col(EnvironmentRow.name)))).first() is None:
        raise ConflictError("an environment of this name exists already")


async def add_principal(session: AsyncSession, org: OrgId, wanted: NewPrincipal) -> Principal:
    """Raises ConflictError: the name or the e-mail address is taken."""
    values = {
        "org_id": org,
        "kind": wanted.kind,
        "name": wanted.name,
        "email": wanted.email,
        "owner_id": wanted.owner,
        "roles": sorted(wanted.roles),
    }
    row = await session.scalar(insert(PrincipalRow).values(values).on_conflict_do_nothing().returning(PrincipalRow))
    if row is None:
        raise ConflictError("a principal of this name or with this e-mail address exists already")
    return to_principal(row)


async def get_principal(session: AsyncSession, principal: PrincipalId) -> Principal:
    """Raises NotFoundError: no such principal in the caller's org."""
    return _found(await session.scalar(select(PrincipalRow).where(PrincipalRow.id == principal)), principal)


async def lock_principals(session: AsyncSession, principal: PrincipalId) -> tuple[Principal, int]:
    """One principal, with how many other active persons are admins; both stay so until the transaction ends."""
    admins = col(PrincipalRow.roles).contains([Role.ADMIN])
    statement = select(PrincipalRow).where((col(PrincipalRow.id) == principal) | admins).order_by(col(PrincipalRow.id))
    rows = (await session.scalars(statement.with_for_update())).all()
    others = [row for row in rows if row.id != principal and row.is_active and row.kind == Kind.PERSON]
    return _found(next((row for row in rows if row.id == principal), None), principal), len(others)


async def list_principals(session: AsyncSession, *, after: PrincipalId | None, limit: int) -> list[Principal]:
    statement = select(PrincipalRow).order_by(col(PrincipalRow.id)).limit(limit)
    if after is not None:
        statement = statement.where(col(PrincipalRow.id) > after)
    return [to_principal(row) for row in await session.scalars(statement)]


async def count_principals(session: AsyncSession) -> int:
    return (await session.scalars(select(func.count()).select_from(PrincipalRow))).one()


async def change_principal(session: AsyncSession, principal: Principal) -> None:
    """Store name, e-mail address, roles and activity.

    Raises:
        ConflictError: the name or the e-mail address is taken.
    """
    taken = select(PrincipalRow.id).where(
        PrincipalRow.id != principal.id,
        (col(PrincipalRow.name) == principal.name) | (func.lower(col(PrincipalRow.email)) == (principal.email or "").lower()),
    )
    if (await session.scalars(taken.limit(1))).first() is not None:
        raise ConflictError("a principal of this name or with this e-mail address exists already")
    values = principal.model_dump(include={"name", "email", "is_active"}) | {"roles": sorted(principal.roles)}
    await session.execute(update(PrincipalRow).where(col(PrincipalRow.id) == principal.id).values(values))


def to_principal(row: PrincipalRow) -> Principal:
    return Principal(
        id=PrincipalId.of(row.id),
        org=OrgId.of(row.org_id),
        kind=Kind(row.kind),
        name=row.name,
        email=row.email,
        owner=None if row.owner_id is None else PrincipalId.of(row.owner_id),
        roles=frozenset(Role(role) for role in row.roles),
        is_active=row.is_active,
    )


def _found(row: PrincipalRow | None, principal: PrincipalId) -> Principal:
    if row is None:
        raise NotFoundError(f"no principal {principal.shown}")
    return to_principal(row)
