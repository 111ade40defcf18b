"""What must be told to the engine, written with the change that causes it and delivered at least once."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import ColumnElement, cast, func, literal, literal_column, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import OrgId, RequestId, Value
from domain.trace import carried
from storage.engine import document, moment, translated
from storage.identity import OrgRow
from storage.leader import Lead, lead

_LEADER = 0x5075_7265
CHANNEL = "suture_outbox"
NEVER: ColumnElement[datetime] = literal_column("timestamptz 'infinity'")
"""When a dead letter is due: one that was laid aside."""


class Letter(StrEnum):
    """Each kind is one call of the engine's port."""

    START_RUN = "start_run"
    WAKE = "wake"
    WAKE_INCIDENT = "wake_incident"
    WAKE_MONITOR = "wake_monitor"
    WAKE_FEED = "wake_feed"
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


async def add_for_every_org(session: AsyncSession, letter: Letter, payload: dict[str, Any]) -> None:
    """One letter to each active org; only the platform sees them all."""
    await _add_where(session, col(OrgRow.is_active).is_(True), letter, payload)


async def add_from_platform(session: AsyncSession, org: OrgId, letter: Letter, payload: dict[str, Any]) -> None:
    """As `add`, by the platform, whose role may set no more than this."""
    await _add_where(session, col(OrgRow.id) == org, letter, payload)


async def _add_where(session: AsyncSession, orgs: ColumnElement[bool], letter: Letter, payload: dict[str, Any]) -> None:
    told = cast(payload | carried(), JSONB)
    chosen = select(col(OrgRow.id), literal(str(letter)), told).where(orgs)
    await session.execute(insert(OutboxRow).from_select(["org_id", "kind", "payload"], chosen, include_defaults=False))


async def take_back_decision(session: AsyncSession, request: RequestId) -> None:
    """The request has been refused: its letter does not go out later, when it might count."""
    names_it = col(OutboxRow.payload)["request"].astext == request.shown
    undelivered = (col(OutboxRow.kind) == str(Letter.DECIDE)) & col(OutboxRow.delivered_at).is_(None)
    statement = update(OutboxRow).where(undelivered, names_it).values(delivered_at=func.suture.now())
    await session.execute(statement)


class Outbox:
    """The relay's view, by a role that sees this table of every org and nothing else."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def lead(self) -> AbstractAsyncContextManager[Lead | None]:
        """What the one process that delivers holds; None in any other."""
        return lead(self._engine, _LEADER)

    async def due(self, kinds: Collection[Letter], *, tried: bool | None, besides: Collection[UUID], limit: int) -> list[Post]:
        """Undelivered letters of these kinds whose time has come, the oldest first, without those that are in hand.

        `tried`: only those that were tried in vain before, or only those that were not; None: all of them.

        Raises:
            UnavailableError: the database cannot be reached or has no room; so does every other method.
        """
        is_due = col(OutboxRow.delivered_at).is_(None) & (col(OutboxRow.due_at) <= func.suture.now())
        wanted = is_due & col(OutboxRow.kind).in_([str(each) for each in kinds]) & col(OutboxRow.id).not_in(besides)
        if tried is not None:
            wanted &= col(OutboxRow.attempts) > 0 if tried else col(OutboxRow.attempts) == 0
        statement = select(OutboxRow).where(wanted).order_by(col(OutboxRow.due_at), col(OutboxRow.id)).limit(limit)
        with translated():
            async with AsyncSession(self._engine) as session:
                return [_to_post(row) for row in await session.scalars(statement)]

    async def waiting(self) -> tuple[int, timedelta]:
        """How many letters are to be delivered yet, and the age of the oldest one whose time has come, be it to be put off."""
        is_waiting = col(OutboxRow.delivered_at).is_(None) & (col(OutboxRow.due_at) < NEVER)
        has_come = (col(OutboxRow.attempts) > 0) | (col(OutboxRow.due_at) <= func.suture.now())
        oldest = func.max(func.suture.now() - col(OutboxRow.created_at)).filter(has_come)
        statement = select(func.count(), oldest).select_from(OutboxRow).where(is_waiting)
        with translated():
            async with self._engine.connect() as connection:
                row: Any = (await connection.execute(statement)).one()
        return row[0], max(row[1] or timedelta(0), timedelta(0))

    async def delivered(self, post: Post) -> None:
        await self._change(post, delivered_at=func.suture.now(), attempts=post.attempts + 1)

    async def postpone(self, post: Post, *, by: timedelta, reason: str) -> None:
        await self._change(post, due_at=func.suture.now() + by, attempts=post.attempts + 1, last_error=reason[:500])

    async def lay_aside(self, post: Post, *, reason: str) -> None:
        """It is due never again, unless a person sets another time."""
        await self._change(post, due_at=NEVER, attempts=post.attempts + 1, last_error=reason[:500])

    async def _change(self, post: Post, **values: Any) -> None:
        statement = update(OutboxRow).where(col(OutboxRow.org_id) == post.org, col(OutboxRow.id) == post.id).values(**values)
        with translated():
            async with self._engine.begin() as connection:
                await connection.execute(statement)


def _to_post(row: OutboxRow) -> Post:
    return Post(org=OrgId.of(row.org_id), id=row.id, kind=Letter(row.kind), payload=row.payload, attempts=row.attempts)
