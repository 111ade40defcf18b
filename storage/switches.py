"""Kill switches and quotas as rows; a switch's row is locked by whoever is about to act under it."""

from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, or_, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import KillSwitchId, OrgId, PrincipalId, Value, WorkflowId
from domain.identity import KillSwitch, SwitchLevel, SwitchScope
from storage.engine import moment


class KillSwitchRow(SQLModel, table=True):
    __tablename__ = "kill_switches"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True, sa_column_kwargs={"server_default": func.uuidv7()})
    level: str
    subject: str
    workflow_id: UUID | None = None
    is_active: bool = False
    reason: str = ""
    changed_by: UUID | None = None
    changed_at: datetime | None = Field(default=None, sa_column=moment())


class PlatformKillSwitchRow(SQLModel, table=True):
    __tablename__ = "platform_kill_switches"
    level: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    is_active: bool = False
    reason: str = ""
    changed_at: datetime | None = Field(default=None, sa_column=moment())


class Standing(Value):
    """What may stop an effect: the switches over it, and whether its org is active."""

    switches: tuple[KillSwitch, ...]
    org_is_active: bool


_HELD = text("""
with named as (
  select id, name from workflows where name = :workflow or id = :id order by id limit 1
)
select level, subject, is_active, reason, changed_at from kill_switches
where (level = 'org' and subject = '*')
   or (level = 'workflow' and subject in (:workflow, (select name from named)))
   or (level = 'workflow' and workflow_id = (select id from named))
   or (level = 'vendor' and subject = :vendor)
   or (level = 'action' and subject = :action)
order by id for share
""").bindparams(bindparam("id", type_=Uuid))


_WIDE = text("""
select level, subject, is_active, reason, changed_at,
  coalesce((select is_active from orgs where id = suture.org()), false) as org_is_active
from platform_kill_switches
where (level = 'global' and subject = '*') or (level = 'region' and subject = :region)
""")


async def hold_over(session: AsyncSession, region: str, scope: SwitchScope) -> Standing:
    """Everything that may stop an effect, as it is just before it.

    The org's switches are locked, so that nobody engages one before this transaction ends. Those of the platform are read
    after that, for the lock may be waited for, and not locked: the application has no right to lock what it cannot change.
    """
    held = (await session.execute(_HELD, scope.model_dump() | {"id": _id(scope.workflow)})).all()
    wide = (await session.execute(_WIDE, {"region": region})).all()
    return Standing(
        switches=tuple(_to_standing(row) for row in (*wide, *held)), org_is_active=bool(wide) and wide[0].org_is_active
    )


def _id(workflow: str) -> UUID | None:
    """A scope says a workflow's name or its id."""
    with suppress(ValueError):
        return WorkflowId.of(workflow)
    return None


async def hold(session: AsyncSession, workflow: WorkflowId, name: str) -> list[KillSwitch]:
    """The switches of one workflow, locked so that nobody engages one before this transaction ends."""
    same = or_(col(KillSwitchRow.subject) == name, col(KillSwitchRow.workflow_id) == workflow)
    statement = select(KillSwitchRow).where(col(KillSwitchRow.level) == SwitchLevel.WORKFLOW, same)
    rows = await session.scalars(statement.order_by(col(KillSwitchRow.id)).with_for_update(read=True))
    return [_to_switch(row) for row in rows]


async def get(session: AsyncSession, level: SwitchLevel, subject: str) -> KillSwitch | None:
    statement = select(KillSwitchRow).where(KillSwitchRow.level == level, KillSwitchRow.subject == subject)
    row = await session.scalar(statement.with_for_update())
    return None if row is None else _to_switch(row)


async def find(session: AsyncSession, *, after: KillSwitchId | None, limit: int) -> list[KillSwitch]:
    statement = select(KillSwitchRow).order_by(col(KillSwitchRow.id)).limit(limit)
    if after is not None:
        statement = statement.where(col(KillSwitchRow.id) > after)
    return [_to_switch(row) for row in await session.scalars(statement)]


async def all_platform(session: AsyncSession) -> list[KillSwitch]:
    statement = select(PlatformKillSwitchRow).order_by(PlatformKillSwitchRow.level, PlatformKillSwitchRow.subject).limit(200)
    return [_to_platform(row) for row in await session.scalars(statement)]


async def put(
    session: AsyncSession,
    org: OrgId,
    level: SwitchLevel,
    subject: str,
    *,
    is_active: bool,
    reason: str,
    workflow: WorkflowId | None = None,
    by: PrincipalId | None,
) -> KillSwitch:
    """Engage or release, by the database's clock."""
    values = {"is_active": is_active, "reason": reason, "changed_by": by, "workflow_id": workflow}
    statement = (
        insert(KillSwitchRow)
        .values(values | {"org_id": org, "level": level, "subject": subject})
        .on_conflict_do_update(index_elements=["org_id", "level", "subject"], set_=values | {"changed_at": func.suture.now()})
        .returning(KillSwitchRow)
    )
    return _to_switch((await session.scalars(statement, execution_options={"populate_existing": True})).one())


async def put_platform(
    session: AsyncSession, level: SwitchLevel, subject: str, *, is_active: bool, reason: str
) -> tuple[KillSwitch | None, KillSwitch]:
    """The platform's switch before and after."""
    there = select(PlatformKillSwitchRow).where(PlatformKillSwitchRow.level == level, PlatformKillSwitchRow.subject == subject)
    row = await session.scalar(there.with_for_update())
    before = None if row is None else _to_platform(row)
    values = {"is_active": is_active, "reason": reason}
    if row is None:
        await session.execute(insert(PlatformKillSwitchRow).values(values | {"level": level, "subject": subject}))
    else:
        changed = update(PlatformKillSwitchRow).where(
            col(PlatformKillSwitchRow.level) == level, col(PlatformKillSwitchRow.subject) == subject
        )
        await session.execute(changed.values(values | {"changed_at": func.suture.now()}))
    after = (await session.scalars(there, execution_options={"populate_existing": True})).one()
    return before, _to_platform(after)


def _to_standing(row: Any) -> KillSwitch:
    return KillSwitch(
        level=SwitchLevel(row.level),
        subject=row.subject,
        is_active=row.is_active,
        reason=row.reason,
        changed_at=row.changed_at,
    )


def _to_switch(row: KillSwitchRow) -> KillSwitch:
    return KillSwitch.model_validate(row.model_dump(exclude={"org_id"}))


def _to_platform(row: PlatformKillSwitchRow) -> KillSwitch:
    return KillSwitch.model_validate(row.model_dump())
