"""How far each connector that follows a database has read in it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, select

from domain.base import Value
from domain.feed import Feed
from domain.refs import FeedRef
from storage.engine import moment


class PositionRow(SQLModel, table=True):
    __tablename__ = "connector_positions"
    org_id: UUID = Field(primary_key=True)
    connector_id: UUID = Field(primary_key=True)
    place: str
    position: str | None = None
    updated_at: datetime | None = Field(default=None, sa_column=moment())


class Position(Value):
    """`value` is the largest `since` that was read; None if there was no row yet."""

    value: str | None


async def position(session: AsyncSession, ref: FeedRef, feed: Feed) -> Position | None:
    """Where it stands in this table, by this column; None if it has never looked there."""
    found = await session.scalar(select(PositionRow).where(PositionRow.connector_id == ref.connector))
    return Position(value=found.position) if found is not None and found.place == _place(feed) else None


async def put_position(session: AsyncSession, ref: FeedRef, feed: Feed, value: str | None) -> None:
    said = {"place": _place(feed), "position": value, "updated_at": func.suture.now()}
    statement = insert(PositionRow).values(org_id=ref.org, connector_id=ref.connector, **said)
    await session.execute(statement.on_conflict_do_update(index_elements=["org_id", "connector_id"], set_=said))


def _place(feed: Feed) -> str:
    return ".".join((*feed.place, feed.since or ""))
