"""What must be told to the engine, written with the change that causes it and delivered at least once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import OrgId, Value
from domain.trace import carried
from storage.engine import document, moment

_LEADER = 0x5075_7265
_CHANNEL = "suture_outbox"


class Letter(StrEnum):
    """Each kind is one call of the engine's port."""

    START_RUN = "start_run"
    WAKE = "wake"
    WAKE_INCIDENT = "wake_incident"
    CARRY_PLAN = "carry_plan"
    DECIDE = "decide"
    START_RECOVERY = "start_recovery"
    STOPPED = "stopped"


class OutboxRow(SQLModel, table=True):
    __tablename__ = "outbox"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    kind: str
    payload: dict[str, Any] = Field(sa_column=document())
    created_at: datetime | None = Field(default=None, sa_column=moment())
    due_at: datetime | None = Field(default=None, sa_column=moment())
    attempts: int = 0
    last_error: str | None = None
    delivered_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class Post(Value):
    """One letter with its address."""

    org: OrgId
    id: UUID
    kind: Letter
    payload: dict[str, JsonValue]
    attempts: int


async def add(
    session: AsyncSession, org: OrgId, letter: Letter, payload: dict[str, Any], *, after: timedelta = timedelta(0)
) -> UUID:
    """Write a letter that is due `after` this long; it carries the trace of whoever writes it."""
    due_at = func.suture.now() + after
    values = {"org_id": org, "id": func.uuidv7(), "kind": str(letter), "payload": payload | carried(), "due_at": due_at}
    identifier: UUID = (await session.execute(insert(OutboxRow).values(**values).returning(col(OutboxRow.id)))).scalar_one()
    return identifier


async def mark_delivered(session: AsyncSession, letter: UUID) -> None:
    """By the one who has already told the engine himself."""
    await session.execute(update(OutboxRow).where(col(OutboxRow.id) == letter).values(delivered_at=func.suture.now()))


class Outbox:
    """The relay's view, by a role that sees this table of every org and nothing else."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[bool]:
        """Whether this process is the one that delivers, for as long as the block lasts."""
        async with self._engine.connect() as connection:
            held = bool(await connection.scalar(select(func.pg_try_advisory_lock(_LEADER))))
            await connection.commit()
            try:
                yield held
            finally:
                if held:
                    await connection.scalar(select(func.pg_advisory_unlock(_LEADER)))

    async def due(self, *, limit: int) -> list[Post]:
        """Undelivered letters whose time has come, the oldest first."""
        statement = (
            select(OutboxRow)
            .where(col(OutboxRow.delivered_at).is_(None), col(OutboxRow.due_at) <= func.suture.now())
            .order_by(col(OutboxRow.due_at), col(OutboxRow.id))
            .limit(limit)
        )
        async with AsyncSession(self._engine) as session:
            return [_to_post(row) for row in await session.scalars(statement)]

    async def waiting(self) -> tuple[int, timedelta]:
        """How many letters are undelivered, and for how long the oldest is overdue."""
        overdue = func.max(func.suture.now() - col(OutboxRow.due_at))
        statement = select(func.count(), overdue).select_from(OutboxRow).where(col(OutboxRow.delivered_at).is_(None))
        async with self._engine.connect() as connection:
            row: Any = (await connection.execute(statement)).one()
        return row[0], max(row[1] or timedelta(0), timedelta(0))

    async def delivered(self, post: Post) -> None:
        await self._change(post, delivered_at=func.suture.now(), attempts=post.attempts + 1)

    async def postpone(self, post: Post, *, by: timedelta, reason: str) -> None:
        await self._change(post, due_at=func.suture.now() + by, attempts=post.attempts + 1, last_error=reason[:500])

    async def _change(self, post: Post, **values: Any) -> None:
        statement = update(OutboxRow).where(col(OutboxRow.org_id) == post.org, col(OutboxRow.id) == post.id).values(**values)
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        """Call `wake` whenever a letter is written, for as long as the block lasts."""

        def heard(*_: object) -> None:
            wake()

        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.add_listener(_CHANNEL, heard)
            try:
                yield
            finally:
                await driver.remove_listener(_CHANNEL, heard)


def _to_post(row: OutboxRow) -> Post:
    return Post(org=OrgId.of(row.org_id), id=row.id, kind=Letter(row.kind), payload=row.payload, attempts=row.attempts)
