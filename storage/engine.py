"""The one transaction: everything in it belongs to one org and commits together.

Four database roles, each with the tables it may touch:

| role            | used by                          | tables                                                   |
|-----------------|----------------------------------|----------------------------------------------------------|
| suture_app      | `transaction(org)`               | every table, the org's own rows only, no partition       |
| suture_relay    | `Outbox` in `storage.outbox`     | outbox, every org                                        |
| suture_upkeep   | `storage.upkeep`                 | outbox, idempotency_keys, signal_keys, signal_rollups_*, audit_heads |
| suture_platform | `provision.py`, `suture platform`| orgs, environments, outbox, platform_*                   |

Upkeep removes what has served, and reads how long each org's ledger is, so that one that has grown is signed; the signing
itself reads as `suture_app`, org by org. No role owns a table. `suture.keep_signal_months()` makes partitions with the
owner's rights, and `suture.drop_old_signals()` drops those that are old, by a day at least; only upkeep may call them. Of
`audit_heads` it sees the sizes alone, and of `signal_keys` those that are older than a day.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy import Column, DateTime, event, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.types import UserDefinedType
from sqlmodel import select

from domain.base import Instant, OrgId
from domain.errors import UnavailableError

P = ParamSpec("P")
T = TypeVar("T")

_RETRYABLE = frozenset({"40001", "40P01"})
_UNAVAILABLE = ("08", "53", "57")  # connection, insufficient resources, operator intervention
_ATTEMPTS = 7

CHECKOUT = timedelta(seconds=1.5)
STATEMENT = timedelta(seconds=15)
_IDLE = timedelta(seconds=30)
STANDSTILL = timedelta(seconds=10)  # a worker that stands still in a transaction keeps its rows no longer


def open_engine(url: str, *, size: int = 8, name: str = "suture") -> AsyncEngine:
    """A bounded pool on `url`; every statement has a time limit, and a dead connection is noticed before it is used."""
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=CHECKOUT.total_seconds(),
        connect_args={
            "timeout": 3,
            "server_settings": {
                "application_name": name,
                "statement_timeout": str(int(STATEMENT.total_seconds() * 1000)),
                "idle_in_transaction_session_timeout": str(int(STANDSTILL.total_seconds() * 1000)),
                "timezone": "UTC",
            },
        },
    )
    _replace_the_dead(engine)
    return engine


def _replace_the_dead(engine: AsyncEngine) -> None:
    """A server that ends a connection says so; only one that was idle for a while is asked, for that is three round trips."""
    pool, dialect = engine.sync_engine.pool, engine.sync_engine.dialect

    @event.listens_for(pool, "checkin")
    def returned(_: Any, record: Any) -> None:
        record.info["since"] = time.clock_gettime(time.CLOCK_BOOTTIME)

    @event.listens_for(pool, "checkout")
    def taken(connection: Any, record: Any, _: Any) -> None:
        since = record.info.get("since")
        if since is None:
            return
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if time.clock_gettime(time.CLOCK_BOOTTIME) - since > _IDLE.total_seconds():
            try:
                dialect.do_ping(connection)
            except dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error


class _Whole:
    """The transaction that the present task's transactions of `org` are parts of; it begins with the first of them."""

    def __init__(self, database: "Database", org: OrgId, stack: AsyncExitStack) -> None:
        self.database = database
        self.org = org
        self._stack = stack
        self._session: AsyncSession | None = None

    async def session(self) -> AsyncSession:
        if self._session is None:
            self._session = await self._stack.enter_async_context(self.database.alone(self.org))
        return self._session


_together: ContextVar[_Whole | None] = ContextVar("together", default=None)


class Database:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def transaction(self, org: OrgId) -> AsyncIterator[AsyncSession]:
        """Commit on the way out, roll back on any error; row-level security sees only `org`.

        Inside of `together` it is a savepoint: it can still fail alone, and is kept when the whole is.

        Raises:
            UnavailableError: the database cannot be reached or has no room.
        """
        whole = _together.get()
        if whole is not None and (whole.database, whole.org) == (self, org):
            session = await whole.session()
            with translated():
                async with session.begin_nested():
                    yield session
        else:
            async with self.alone(org) as session:
                yield session

    @asynccontextmanager
    async def together(self, org: OrgId) -> AsyncIterator[None]:
        """What this task's transactions of `org` do in here is committed at once, or not at all.

        One after the other only: they share one session. Nothing in here may wait for somebody else to see their rows.
        """
        async with AsyncExitStack() as stack:
            token = _together.set(_Whole(self, org, stack))
            try:
                yield
            finally:
                _together.reset(token)

    @asynccontextmanager
    async def alone(self, org: OrgId) -> AsyncIterator[AsyncSession]:
        """A transaction of its own, wherever it is asked for."""
        with translated():
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                await session.execute(text("select set_config('app.org', :org, true)"), {"org": str(UUID(int=org.int))})
                yield session

    async def retrying(self, org: OrgId, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run `work` in a transaction of its own; see `repeatable`."""

        async def attempt() -> T:
            async with self.transaction(org) as session:
                return await work(session)

        return await _repeated(attempt)

    async def ping(self) -> None:
        """Raises UnavailableError when the database does not answer."""
        with translated():
            async with self._engine.connect() as connection:
                await connection.execute(text("select 1"))

    async def close(self) -> None:
        await self._engine.dispose()


def repeatable(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Do all of `method` again (with jitter) when the database says that its transaction collided with another.

    Only for methods that may be repeated as a whole: one transaction, and nothing outside it that happens once.
    """

    @wraps(method)
    async def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        return await _repeated(lambda: method(*args, **kwargs))

    return repeated


async def _repeated(work: Callable[[], Awaitable[T]]) -> T:
    for attempt in range(_ATTEMPTS):
        try:
            return await work()
        except DBAPIError as error:
            if sqlstate(error) not in _RETRYABLE:
                raise
        await asyncio.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311
    raise UnavailableError("too many transactions collide; try again")


class translated:  # noqa: N801
    """Turns what a lost or full database raises into one word that callers know."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, PoolTimeoutError | OSError | TimeoutError):
            raise UnavailableError("the database has no free connection or cannot be reached; try again") from error
        if isinstance(error, InterfaceError | OperationalError) or (isinstance(error, DBAPIError) and _is_down(error)):
            raise UnavailableError("the database is not available; try again") from error


def sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or "")


def _is_down(error: DBAPIError) -> bool:
    return error.connection_invalidated or sqlstate(error).startswith(_UNAVAILABLE)


async def now(session: AsyncSession) -> Instant:
    """The database's clock: the only one that decides what has expired."""
    clock: Instant = (await session.scalars(select(func.suture.now()))).one()
    return clock


async def new_id(session: AsyncSession) -> UUID:
    """A UUIDv7 made by the database."""
    return (await new_ids(session, 1))[0]


async def new_ids(session: AsyncSession, count: int) -> list[UUID]:
    """So many of them, in ascending order."""
    return list(await session.scalars(text("select uuidv7() from generate_series(1, :count)"), {"count": count}))


def moment(*, nullable: bool = False) -> Any:
    """A timestamp column that the database fills by its own clock unless it may be empty."""
    if nullable:
        return Column(DateTime(timezone=True), nullable=True)
    return Column(DateTime(timezone=True), nullable=False, server_default=func.suture.now())


class _Xid8(UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def transaction_number() -> Any:
    """A column that the database fills with the number of the transaction that writes the row."""
    return Column(_Xid8(), nullable=False, server_default=func.pg_current_xact_id())


def document(*, nullable: bool = False) -> Any:
    return Column(JSONB(none_as_null=True), nullable=nullable)
