"""Of every org: remove what has served or is old, a batch at a time, see which ledger has grown, keep months ready."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, TextClause, delete, func, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import SQLModel, col, select

from domain.base import OrgId
from storage.audit import AuditHeadRow
from storage.engine import translated
from storage.idempotency import IdempotencyRow
from storage.leader import Lead, lead
from storage.outbox import OutboxRow

_LEADER = 0x7570_6B65
_DROP_OLD = text("select partition, is_gone from suture.drop_old_signals(:keep)")
_REMOVE = """delete from {table} where ctid in (
  select ctid from {table} where {at} < suture.now() - cast(:keep as interval) limit :limit)"""
_REMOVE_SUMS = {minutes: text(_REMOVE.format(table=f"signal_rollups_{minutes}m", at="at")) for minutes in (1, 5)}
_REMOVE_KEYS = text(_REMOVE.format(table="signal_keys", at="created_at"))
_KEEP_MONTHS = text("select partition, is_there from suture.keep_signal_months()")


class Removals:
    """Every method raises UnavailableError when the database cannot be reached or has no room."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def lead(self) -> AbstractAsyncContextManager[Lead | None]:
        """What the one process that removes holds; None in any other."""
        return lead(self._engine, _LEADER)

    async def letters(self, *, delivered_for: timedelta, limit: int) -> int:
        """Remove letters that were delivered at least this long ago; how many they were."""
        key = (col(OutboxRow.org_id), col(OutboxRow.id))
        return await self._remove(OutboxRow, key, col(OutboxRow.delivered_at) < func.suture.now() - delivered_for, limit)

    async def idempotency_keys(self, *, kept_for: timedelta, limit: int) -> int:
        """Remove keys that were begun at least this long ago; how many they were."""
        names = ("org_id", "principal_id", "route", "key")
        key = tuple(col(getattr(IdempotencyRow, name)) for name in names)
        return await self._remove(IdempotencyRow, key, col(IdempotencyRow.created_at) < func.suture.now() - kept_for, limit)

    async def keep_months(self) -> list[str]:
        """Have a partition of signals for this month and the next two; those that could not be made."""
        with translated():
            async with self._engine.begin() as connection:
                return await keep_months(connection)

    async def old_signals(self, *, kept_for: timedelta) -> tuple[list[str], list[str]]:
        """Drop the months of signals that are older as a whole; those dropped, and those whose table was busy."""
        with translated():
            async with self._engine.begin() as connection:
                found = [tuple(row) for row in await connection.execute(_DROP_OLD, {"keep": kept_for})]
        return [name for name, is_gone in found if is_gone], [name for name, is_gone in found if not is_gone]

    async def old_rollups(self, minutes: int, *, kept_for: timedelta, limit: int) -> int:
        """Remove sums of one or five minutes that are older; how many they were."""
        return await self._remove_old(_REMOVE_SUMS[minutes], kept_for, limit)

    async def old_signal_keys(self, *, kept_for: timedelta, limit: int) -> int:
        """Remove keys of signals that came longer ago, which are new if they come again; how many they were."""
        return await self._remove_old(_REMOVE_KEYS, kept_for, limit)

    async def _remove_old(self, statement: TextClause, kept_for: timedelta, limit: int) -> int:
        with translated():
            async with self._engine.begin() as connection:
                done = await connection.execute(statement, {"keep": kept_for, "limit": limit})
                return int(done.rowcount)

    async def _remove(self, row: type[SQLModel], key: tuple[Any, ...], which: ColumnElement[bool], limit: int) -> int:
        served = select(*key).where(which).limit(limit)
        statement = delete(row).where(tuple_(*key).in_(served)).returning(key[0])
        with translated():
            async with self._engine.begin() as connection:
                return len((await connection.execute(statement)).all())


class Heads:
    """How long every org's ledger is, by a role that reads nothing else of it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, *, after: OrgId, limit: int) -> list[tuple[OrgId, int]]:
        """Raises UnavailableError when the database cannot be reached or has no room."""
        statement = select(AuditHeadRow.org_id, AuditHeadRow.seq).where(col(AuditHeadRow.org_id) > after)
        with translated():
            async with self._engine.connect() as connection:
                found = await connection.execute(statement.order_by(col(AuditHeadRow.org_id)).limit(limit))
                return [(OrgId.of(org), seq) for org, seq in found]


async def keep_months(connection: AsyncConnection) -> list[str]:
    """The partitions that are missing still: their signals lie in the default partition, or the table was busy."""
    return [partition for partition, is_there in await connection.execute(_KEEP_MONTHS) if not is_there]
