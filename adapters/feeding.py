"""Connections to databases that people have named: to an address that was checked, bounded in time, rows and notifications.

Nothing of the environment is used, and nothing of an address stands in an error.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from json import dumps
from typing import Any

import asyncpg

from adapters.reaching import Reach
from domain.errors import UnavailableError
from domain.feed import DatabaseAddress, Feed, Missed, Notice, TableName, place_of
from domain.opinion import Opinion, Unwritten

CONNECT_WITHIN = timedelta(seconds=5)
STATEMENT_WITHIN = timedelta(seconds=10)
MOST_WAITING = 2_000
"""How many notifications wait to be stored; for more there is no room."""
MOST_ROWS = 1_000
MOST_AT_ONCE = 200
LARGEST_ROW = 65_536
ASKED_EVERY = timedelta(seconds=15)
"""How long nothing is heard before the database is asked whether it is still there: a network may end without a word."""
WRITE_WITHIN = timedelta(seconds=2)
"""How long what is notified waits, at the most, while verdicts are written."""

_NAMES = """select format('%I.%I', n.nspname, c.relname), format('%I', a.attname), format_type(a.atttypid, a.atttypmod)
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and a.attname = $3 and a.attnum > 0 and not a.attisdropped"""
_TABLE = """select format('%I.%I', n.nspname, c.relname) as name,
  array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2"""
_COLUMNS = {name: "float8" if name in {"confidence", "risk"} else "text" for name in Opinion.model_fields}
_LOST = "the connection to the database is lost"
_REASONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "the database refuses the user or the password"),
    (asyncpg.InvalidCatalogNameError, "the server has no such database"),
    (asyncpg.InsufficientPrivilegeError, "the database's user may not read the table: grant it select on the table"),
    (asyncpg.UndefinedTableError, "the database has no such table"),
    (asyncpg.UndefinedColumnError, "the table has no such column"),
    (asyncpg.TooManyConnectionsError, "the database has no connection left"),
    (asyncpg.QueryCanceledError, f"a statement took longer than {STATEMENT_WITHIN.total_seconds():.0f} s: is there an index?"),
    (ssl.SSLCertVerificationError, "the certificate of the database is not trusted: sslmode=require does not ask for that"),
    (asyncpg.ConnectionDoesNotExistError, _LOST),
    ((asyncpg.InterfaceError, asyncpg.InternalClientError), _LOST),
    (TimeoutError, "the database does not answer in time"),
    (OSError, "the database cannot be reached, or does not speak TLS (for which sslmode=disable does not ask)"),
)
_GONE = (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)
_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError)
"""What a table says to a row; to all of them it says something else."""
_MAY_NOT = """the database's user may not write to {table}: grant it usage on the schema, and select, insert and update on the \
table; where row security is on, it needs a policy, too"""
_FLAWS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (asyncpg.InsufficientPrivilegeError, _MAY_NOT),
    (asyncpg.InvalidColumnReferenceError, "the column incident of {table} has to be its primary key"),
    (asyncpg.DatatypeMismatchError, "a column of {table} has another type than on the connector's page"),
    (asyncpg.ReadOnlySQLTransactionError, "the database is read-only"),
    (
        (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError),
        f"writing to {{table}} takes longer than {WRITE_WITHIN.total_seconds():.0f} s",
    ),
)


class Databases:
    """Implements `services.ports.Databases`."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    @asynccontextmanager
    async def open(self, address: DatabaseAddress) -> AsyncIterator["Watched"]:
        checked = await self._reach.address(address.host, address.port)
        with _translated():
            connection = await asyncpg.connect(
                host=checked,
                port=address.port,
                user=address.user,
                password=address.password.get_secret_value(),
                database=address.database,
                ssl=_tls(address) or False,
                timeout=CONNECT_WITHIN.total_seconds(),
                command_timeout=2 * STATEMENT_WITHIN.total_seconds(),
                statement_cache_size=0,
                target_session_attrs="any",
            )
        try:
            with _translated():
                await connection.execute(f"set statement_timeout = {STATEMENT_WITHIN.total_seconds() * 1000:.0f}")
                await connection.execute("set timezone = 'UTC'")
                await connection.execute("set datestyle = 'ISO'")
                pid = await connection.fetchval("select pg_backend_pid()")
            yield Watched(connection, pid)
        finally:
            connection.terminate()


class Watched:
    """Implements `services.ports.Watched`."""

    def __init__(self, connection: Any, pid: int) -> None:
        """`pid` is that of the connection itself, whose own notifications are not heard."""
        self._connection = connection
        self._pid = pid
        self._waiting: deque[Notice] = deque()
        self._stirred = asyncio.Event()
        self._asked_at = time.monotonic()
        self.lost = 0
        connection.add_termination_listener(lambda *_: self._stirred.set())

    async def listen(self, channels: Collection[str]) -> None:
        with _translated():
            for channel in channels:
                await self._connection.add_listener(channel, self._hear)

    def _hear(self, _connection: object, pid: int, channel: str, payload: str) -> None:
        if pid == self._pid:
            return
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(Notice(channel=channel, payload=payload))
        else:
            self.lost += 1
        self._stirred.set()

    async def heard(self, *, within: timedelta) -> tuple[Notice, ...]:
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._stirred.wait()
        except TimeoutError:
            await self._ask()
            return ()
        self._asked_at = time.monotonic()
        found = tuple(self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE)))
        if not found and self._connection.is_closed():
            raise UnavailableError(_LOST)
        if not self._waiting and not self._connection.is_closed():
            self._stirred.clear()
        return found

    async def _ask(self) -> None:
        if time.monotonic() - self._asked_at >= ASKED_EVERY.total_seconds():
            with _translated():
                await self._connection.execute("select 1")
            self._asked_at = time.monotonic()

    async def start(self, feed: Feed) -> str | None:
        table, column, _ = await self._names(feed)
        statement = f"select t.{column}::text from {table} t where t.{column} is not null order by t.{column} desc limit 1"  # noqa: S608
        with _translated():
            found: str | None = await self._connection.fetchval(statement)
        return found

    async def missed(self, feed: Feed, after: str | None) -> AsyncGenerator[Missed]:
        table, column, kind = await self._names(feed)
        larger = f"t.{column} > $2::text::{kind}" if after is not None else f"t.{column} is not null"
        # By `t.`, as a bare name would be the text that is selected, where 10 is before 9.
        # With ties: rows of one transaction may all have the same value, and no limit may part them.
        statement = (
            f"select t.{column}::text, case when octet_length(to_jsonb(t)::text) <= $1 then to_jsonb(t)::text end"  # noqa: S608
            f" from {table} t where {larger} order by t.{column} fetch first {MOST_ROWS} rows with ties"
        )
        given = (LARGEST_ROW, *((after,) if after is not None else ()))
        with _translated():
            async with self._connection.transaction(readonly=True):
                rows = await self._connection.cursor(statement, *given)
                while found := await rows.fetch(MOST_AT_ONCE):
                    yield Missed(rows=tuple(_row(feed, row[1]) for row in found), position=found[-1][0])

    async def latest(self, feed: Feed, positions: Sequence[str]) -> str | None:
        *_, kind = await self._names(feed)
        statement = (
            f"select told.each::text from (select unnest($1::text[])::{kind} as each) as told order by told.each desc limit 1"  # noqa: S608
        )
        with _translated():
            try:
                found: str | None = await self._connection.fetchval(statement, list(positions))
            except asyncpg.DataError:
                return None
        return found

    async def write(self, table: TableName, opinions: Sequence[Opinion]) -> Unwritten | None:
        with _translated():
            found = await self._connection.fetchrow(_TABLE, *place_of(table))
            if found is None:
                return Unwritten(reason=f"the database has no table {table}: make it as the connector's page says")
            if missing := ", ".join(name for name in (*_COLUMNS, "updated_at") if name not in found["columns"]):
                return Unwritten(reason=f"the table {table} has no column {missing}: make it as the connector's page says")
            try:
                return await self._written(table, found["name"], opinions)
            except _GONE:
                raise
            except asyncpg.PostgresError as error:
                reason = next((reason for kind, reason in _FLAWS if isinstance(error, kind)), None)
                return Unwritten(reason=(reason or f"{{table}} refuses it with {error.sqlstate}").format(table=table))

    async def _written(self, table: TableName, name: str, opinions: Sequence[Opinion]) -> Unwritten | None:
        """All at once; where the table refuses a row, one by one."""
        try:
            await self._put(name, opinions)
        except _REFUSED:
            return await self._written_apart(table, name, opinions)
        return None

    async def _written_apart(self, table: TableName, name: str, opinions: Sequence[Opinion]) -> Unwritten | None:
        refused = {}
        for each in opinions:
            try:
                await self._put(name, [each])
            except _REFUSED as error:
                refused[each.incident] = f"{table} refuses {each.incident.shown} with {error.sqlstate}"
        return Unwritten(reason=next(iter(refused.values())), incidents=frozenset(refused)) if refused else None

    async def _put(self, table: str, opinions: Sequence[Opinion]) -> None:
        rows = [each.model_dump(mode="json") for each in opinions]
        async with self._connection.transaction():
            await self._connection.execute(f"set local statement_timeout = {WRITE_WITHIN.total_seconds() * 1000:.0f}")
            await self._connection.execute(_upsert(table), *([row[name] for row in rows] for name in _COLUMNS))

    async def _names(self, feed: Feed) -> tuple[str, str, str]:
        """Table and column, quoted, and the column's type, as the database itself writes them."""
        with _translated():
            row = await self._connection.fetchrow(_NAMES, *feed.place, feed.since)
        if row is None:
            raise UnavailableError("the database has no such table, or the table no such column; write them as they are stored")
        return row[0], row[1], row[2]


class _Named(ssl.SSLContext):
    """Asks for the certificate of the name, though an address is connected to."""

    name = ""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        return super().wrap_bio(*args, **options | {"server_hostname": self.name})


def _tls(address: DatabaseAddress) -> ssl.SSLContext | None:
    if address.tls == "disable":
        return None
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.name = address.host
    if address.tls == "verify-full":
        context.load_default_certs()
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _upsert(table: str) -> str:
    """Rows that are as they should be are not written again, so that no trigger that follows a row's update is roused."""
    names, news = ", ".join(_COLUMNS), [name for name in _COLUMNS if name != "incident"]
    given = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(_COLUMNS.values(), start=1))
    before, after = (", ".join(f"{side}.{name}" for name in news) for side in ("t", "excluded"))
    return (
        f"insert into {table} as t ({names}, updated_at) select told.*, now() from unnest({given}) as told ({names})"  # noqa: S608
        f" on conflict (incident) do update set ({', '.join(news)}, updated_at) = row({after}, now())"
        f" where ({before}) is distinct from ({after})"
    )


def _row(feed: Feed, record: str | None) -> Notice:
    schema, table = feed.place
    head = dumps({"schema": schema, "table": table, "type": "INSERT"}).removesuffix("}")
    return Notice(channel=feed.channels[0], payload=f'{head}, "record": {record or "null"}}}')


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), None)
        state = getattr(error, "sqlstate", None)
        raise UnavailableError(reason or f"the database refuses with {state or type(error).__name__}") from None
