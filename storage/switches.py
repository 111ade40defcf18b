"""Kill switches and quotas as rows; a switch's row is locked by whoever is about to act under it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import KillSwitchId, OrgId, PrincipalId, WorkflowId
from domain.identity import KillSwitch, SwitchLevel
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


async def platform(session: AsyncSession, region: str) -> list[KillSwitch]:
    """The global switch and the region's. Not locked: the application has no right to lock what it cannot change."""
    here = or_(
        (col(PlatformKillSwitchRow.level) == SwitchLevel.GLOBAL) & (col(PlatformKillSwitchRow.subject) == "*"),
        (col(PlatformKillSwitchRow.level) == SwitchLevel.REGION) & (col(PlatformKillSwitchRow.subject) == region),
    )
    return [_to_platform(row) for row in await session.scalars(select(PlatformKillSwitchRow).where(here))]


async def hold(session: AsyncSession, subjects: dict[SwitchLevel, str], workflow: WorkflowId | None) -> list[KillSwitch]:
    """The org's switches over these subjects, locked so that nobody engages one before this transaction ends."""
    named = [
        (col(KillSwitchRow.level) == level) & (col(KillSwitchRow.subject) == subject) for level, subject in subjects.items()
    ]
    if workflow is not None:
        named.append((col(KillSwitchRow.level) == SwitchLevel.WORKFLOW) & (col(KillSwitchRow.workflow_id) == workflow))
    statement = select(KillSwitchRow).where(or_(*named)).order_by(col(KillSwitchRow.id)).with_for_update(read=True)
    return [_to_switch(row) for row in await session.scalars(statement)]


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


def _to_switch(row: KillSwitchRow) -> KillSwitch:
    return KillSwitch.model_validate(row.model_dump(exclude={"org_id"}))


def _to_platform(row: PlatformKillSwitchRow) -> KillSwitch:
    return KillSwitch.model_validate(row.model_dump())
