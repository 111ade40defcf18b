"""Idempotency keys as rows: begun, answered, forgotten after a day."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import Digest
from domain.idempotency import Answer, Begun, Fresh, KeyScope, Mismatch, Replay, Running
from storage.engine import document, moment


class IdempotencyRow(SQLModel, table=True):
    __tablename__ = "idempotency_keys"
    org_id: UUID = Field(primary_key=True)
    principal_id: UUID = Field(primary_key=True)
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    body_digest: str
    status: int | None = None
    headers: list[Any] | None = Field(default=None, sa_column=document(nullable=True))
    body: bytes | None = None
    created_at: datetime | None = Field(default=None, sa_column=moment())


async def add(session: AsyncSession, scope: KeyScope, digest: Digest) -> Fresh | None:
    """The key as the caller's, or None where somebody has it already."""
    statement = insert(IdempotencyRow).values(_columns(scope) | {"body_digest": digest})
    return _fresh(await session.scalar(statement.on_conflict_do_nothing().returning(col(IdempotencyRow.created_at))))


async def take_over(
    session: AsyncSession, scope: KeyScope, digest: Digest, *, kept_for: timedelta, answered_within: timedelta
) -> Fresh | None:
    """The key as the caller's, if it was forgotten or its server had crashed."""
    created, now = col(IdempotencyRow.created_at), func.suture.now()
    crashed = (
        col(IdempotencyRow.status).is_(None) & (created <= now - answered_within) & (col(IdempotencyRow.body_digest) == digest)
    )
    statement = update(IdempotencyRow).where(_is(scope), (created <= now - kept_for) | crashed)
    fresh = {"body_digest": digest, "status": None, "headers": None, "body": None, "created_at": now}
    return _fresh(await session.scalar(statement.values(fresh).returning(created)))


async def look(session: AsyncSession, scope: KeyScope, digest: Digest) -> Begun:
    """What is known of a key that somebody else began; one that was given back meanwhile counts as running once more."""
    row = await session.scalar(select(IdempotencyRow).where(_is(scope)))
    if row is None:
        return Running()
    if row.body_digest != digest:
        return Mismatch()
    if row.status is None:
        return Running()
    headers = tuple((name, value) for name, value in row.headers or ())
    return Replay(answer=Answer(status=row.status, headers=headers, body=(row.body or b"").decode()))


async def finish(session: AsyncSession, scope: KeyScope, fresh: Fresh, answer: Answer) -> bool:
    """Whether the key was still the caller's to answer."""
    stored = {"status": answer.status, "headers": [list(pair) for pair in answer.headers], "body": answer.body.encode()}
    statement = update(IdempotencyRow).where(_is_still(scope, fresh)).values(stored).returning(col(IdempotencyRow.key))
    return (await session.execute(statement)).first() is not None


async def remove(session: AsyncSession, scope: KeyScope, fresh: Fresh) -> None:
    """Forget a key that is still the caller's and has no answer."""
    await session.execute(delete(IdempotencyRow).where(_is_still(scope, fresh)))


def _fresh(since: datetime | None) -> Fresh | None:
    return Fresh(since=since) if since else None


def _columns(scope: KeyScope) -> dict[str, Any]:
    return {"org_id": scope.org, "principal_id": scope.principal, "route": scope.route, "key": scope.key}


def _is(scope: KeyScope) -> ColumnElement[bool]:
    return (
        (col(IdempotencyRow.principal_id) == scope.principal)
        & (col(IdempotencyRow.route) == scope.route)
        & (col(IdempotencyRow.key) == scope.key)
    )


def _is_still(scope: KeyScope, fresh: Fresh) -> ColumnElement[bool]:
    return _is(scope) & col(IdempotencyRow.status).is_(None) & (col(IdempotencyRow.created_at) == fresh.since)
