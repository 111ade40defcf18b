"""Connections to databases of others, on the real server: checked, bounded, quoted, and with reasons that name nothing."""

import re
import secrets
import ssl
from datetime import timedelta
from ipaddress import ip_network

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from adapters import feeding
from adapters.feeding import Databases
from adapters.reaching import Reach
from domain.base import IncidentId
from domain.errors import UnavailableError
from domain.feed import DatabaseAddress, Feed
from domain.incident import Severity, Status
from domain.opinion import Opinion, Unwritten
from tests.database import create_database

FEED = Feed(channels=("Told",), table="Odd.Rows", since="At")
NEAR = Databases(Reach((ip_network("127.0.0.1/32"),)))
A_SECOND = timedelta(seconds=1)


@pytest_asyncio.fixture
async def outside(postgres):
    """A database with names that have to be quoted, its address, and somebody who writes to it."""
    name = f"outside_{secrets.token_hex(4)}"
    await create_database(postgres, name)
    password = postgres.password.get_secret_value()
    sql = await asyncpg.connect(host=postgres.host, port=postgres.port, user=postgres.user, password=password, database=name)
    await sql.execute('create schema "Odd"; create table "Odd"."Rows" ("At" bigint, said text)')
    said = {"host": "127.0.0.1", "port": postgres.port, "user": postgres.user, "password": postgres.password}
    yield DatabaseAddress(**said, database=name, tls="disable"), sql
    await sql.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()", name
    )
    await sql.close()


async def read(watched, after):
    return [each async for each in watched.missed(FEED, after)]


async def test_rows_are_read_after_the_last_one_seen_and_no_tie_is_parted(outside):
    """In the order of the column's own type: 9 is before 10."""
    address, sql = outside
    await sql.executemany(
        'insert into "Odd"."Rows" values ($1, $2)', [(9, "old"), *((10, "tie") for _ in range(1_100)), (11, "")]
    )
    async with NEAR.open(address) as watched:
        assert await watched.start(FEED) == "11"
        found = await read(watched, "9")
        assert sum(len(each.rows) for each in found) == 1_100
        assert {each.position for each in found} == {"10"}
        assert [each.position for each in await read(watched, "10")] == ["11"]
        assert await read(watched, "11") == []


async def test_a_large_row_is_told_of_and_not_read(outside):
    """Its notice says that it holds no row."""
    address, sql = outside
    await sql.execute("""insert into "Odd"."Rows" values (1, repeat('x', 70000))""")
    async with NEAR.open(address) as watched:
        [found] = await read(watched, None)
    assert found.rows[0].payload == '{"schema": "Odd", "table": "Rows", "type": "INSERT", "record": null}'


async def test_positions_are_compared_by_the_database(outside):
    """What is no value of the column moves nothing."""
    address, _ = outside
    async with NEAR.open(address) as watched:
        assert await watched.start(FEED) is None
        assert await watched.latest(FEED, ["9", "10"]) == "10"
        assert await watched.latest(FEED, ["9", "'); drop table x; --"]) is None


async def test_what_has_no_room_is_counted(outside, monkeypatch):
    """Nothing waits without end."""
    monkeypatch.setattr(feeding, "MOST_WAITING", 3)
    address, sql = outside
    async with NEAR.open(address) as watched:
        await watched.listen(FEED.channels)
        for number in range(5):
            await sql.execute(f"""notify "Told", '{number}'""")
        heard = await watched.heard(within=A_SECOND)
        while watched.lost + len(heard) < 5:
            heard += await watched.heard(within=A_SECOND)
    assert [each.payload for each in heard][:3] == ["0", "1", "2"]


async def test_a_connection_that_ends_is_noticed(outside):
    """By whoever waits for what is notified."""
    address, sql = outside
    async with NEAR.open(address) as watched:
        await sql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = $1",
            address.database,
        )
        with pytest.raises(UnavailableError, match="lost"):
            await watched.heard(within=5 * A_SECOND)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"password": SecretStr("hidden")}, "refuses the user or the password"),
        ({"database": "hidden"}, "no such database"),
        ({"tls": "require"}, "does not speak TLS"),
        ({"port": 1}, "cannot be reached"),
        ({"host": "127.0.0.2"}, "private one, which SUTURE_REACHABLE does not name"),
        ({"host": "nowhere.invalid"}, "not known"),
    ],
)
async def test_a_refusal_says_why_and_nothing_of_the_address(outside, change, reason):
    """A sentence of ours."""
    address, _ = outside
    with pytest.raises(UnavailableError, match=reason) as refused:
        async with NEAR.open(address.model_copy(update=change)):
            pass
    assert not any(word in str(refused.value) for word in ("hidden", "127.0.0", address.database, "invalid"))


async def test_a_table_that_is_not_there_is_said(outside):
    """Names count as they are stored."""
    address, _ = outside
    async with NEAR.open(address) as watched:
        with pytest.raises(UnavailableError, match="no such table"):
            await watched.start(Feed(channels=("a",), table="odd.rows", since="at"))


def test_the_certificate_is_asked_for_the_name():
    """Though an address is connected to."""
    said = {"host": "db.example.com", "port": 1, "user": "u", "password": SecretStr("p"), "database": "d"}
    context = feeding._tls(DatabaseAddress(**said, tls="verify-full"))
    tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=False, server_hostname="203.0.113.7")
    assert (tls.server_hostname, context.verify_mode, context.check_hostname) == ("db.example.com", ssl.CERT_REQUIRED, True)


TABLE = "Odd.Verdicts"
MADE = """create table "Odd"."Verdicts" (incident text primary key, subject text, service text, title text, status text,
  severity text, cause text, confidence float8, plan text, risk float8, updated_at timestamptz not null default now())"""
FIRST = Opinion(
    incident=IncidentId(int=1),
    subject="public.jobs/7",
    service="jobs",
    title="""it's "full"; drop table x; --""",
    status=Status.OPEN,
    severity=Severity.SEV2,
)
KNOWN = {"cause": "the disk is full", "confidence": 0.8, "plan": "retry the job", "risk": 0.2}


async def written(sql):
    return [tuple(row) for row in await sql.fetch('select * from "Odd"."Verdicts" order by incident')]


async def versions(sql):
    return [tuple(row) for row in await sql.fetch('select xmin::text, ctid::text from "Odd"."Verdicts" order by incident')]


async def test_what_is_thought_is_written_as_it_is(outside):
    """Each value in its column, bound and never read as SQL; what nobody knows is null, and a later opinion replaces it."""
    address, sql = outside
    await sql.execute(MADE)
    async with NEAR.open(address) as watched:
        assert await watched.write(TABLE, [FIRST]) is None
        [before] = await written(sql)
        second = FIRST.model_copy(update=KNOWN | {"status": Status.NEEDS_HUMAN})
        assert await watched.write(TABLE, [second]) is None
    [after] = await written(sql)
    shown = (FIRST.incident.shown, FIRST.subject, "jobs", FIRST.title)
    assert before[:-1] == (*shown, "open", "sev2", None, None, None, None)
    assert after[:-1] == (*shown, "needs_human", "sev2", *KNOWN.values())
    assert after[-1] > before[-1]


async def test_an_unchanged_row_is_not_written_again(outside):
    """Its version stays, though what is known beside it is written."""
    address, sql = outside
    await sql.execute(MADE)
    async with NEAR.open(address) as watched:
        await watched.write(TABLE, [FIRST])
        before = await versions(sql)
        await watched.write(TABLE, [FIRST, FIRST.model_copy(update={"incident": IncidentId(int=2)})])
    after = await versions(sql)
    assert (len(after), after[0]) == (2, before[0])


async def test_a_row_that_the_table_refuses_keeps_no_other_from_it(outside):
    """And the reason names its incident."""
    address, sql = outside
    await sql.execute(MADE)
    await sql.execute('alter table "Odd"."Verdicts" alter column title type varchar(40)')
    long = FIRST.model_copy(update={"incident": IncidentId(int=2), "title": 41 * "x"})
    last = FIRST.model_copy(update={"incident": IncidentId(int=3)})
    async with NEAR.open(address) as watched:
        found = await watched.write(TABLE, [FIRST, long, last])
    assert found == Unwritten(reason=f"{TABLE} refuses {long.incident.shown} with 22001", incidents=frozenset({long.incident}))
    assert {row[0] for row in await written(sql)} == {FIRST.incident.shown, last.incident.shown}


async def test_what_is_written_here_is_not_heard_here(outside):
    """A trigger of that table notifies whoever else listens."""
    address, sql = outside
    await sql.execute(MADE)
    await sql.execute("""create function public.tell() returns trigger language plpgsql as
      $$ begin perform pg_notify('Told', new.status); return null; end $$""")
    await sql.execute('create trigger tell after insert on "Odd"."Verdicts" for each row execute function public.tell()')
    async with NEAR.open(address) as watched, NEAR.open(address) as other:
        await watched.listen(FEED.channels)
        await other.listen(FEED.channels)
        await watched.write(TABLE, [FIRST])
        await sql.execute("""notify "Told", 'another'""")
        assert [each.payload for each in await watched.heard(within=A_SECOND)] == ["another"]
        assert (await other.heard(within=A_SECOND))[0].payload == "open"


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ('drop table "Odd"."Verdicts"', "no table Odd.Verdicts"),
        ('alter table "Odd"."Verdicts" drop column cause, drop column risk', "no column cause, risk"),
        ('alter table "Odd"."Verdicts" drop column updated_at', "no column updated_at"),
        ('alter table "Odd"."Verdicts" drop constraint "Verdicts_pkey"', "has to be its primary key"),
        ('alter table "Odd"."Verdicts" alter column title type int using 1', "another type"),
        ('alter table "Odd"."Verdicts" add check (status <> status)', "refuses inc_.* with 23514"),
        ('alter database "{name}" set default_transaction_read_only = on', "read-only"),
        ('revoke update on "Odd"."Verdicts" from writer_{name}', "grant it .* select, insert and update"),
        ('revoke usage on schema "Odd" from writer_{name}', "grant it usage on the schema"),
        ('alter table "Odd"."Verdicts" enable row level security', "row security is on, it needs a policy"),
    ],
)
async def test_a_table_that_cannot_be_written_to_says_what_to_do(outside, change, flaw):
    """And the connection goes on: it hears, and writes once that is done."""
    address, sql = outside
    name, password = address.database, secrets.token_hex(8)
    await sql.execute(MADE)
    await sql.execute(f"create role writer_{name} login password '{password}'")
    await sql.execute(f'grant usage on schema "Odd" to writer_{name}')
    await sql.execute(f'grant select, insert, update on "Odd"."Verdicts" to writer_{name}')
    await sql.execute(change.format(name=name))
    writer = address.model_copy(update={"user": f"writer_{name}", "password": SecretStr(password)})
    async with NEAR.open(writer) as watched:
        await watched.listen(FEED.channels)
        found = await watched.write(TABLE, [FIRST])
        await sql.execute("""notify "Told", 'still here'""")
        [heard] = await watched.heard(within=A_SECOND)
    await sql.execute(f"drop owned by writer_{name}; drop role writer_{name}")
    assert found is not None
    assert re.search(flaw, found.reason)
    assert heard.payload == "still here"
    assert password not in found.reason


async def test_a_table_that_somebody_holds_is_not_waited_for_long(outside, monkeypatch):
    """What is notified would have to wait as long."""
    monkeypatch.setattr(feeding, "WRITE_WITHIN", timedelta(milliseconds=50))
    address, sql = outside
    await sql.execute(MADE)
    async with NEAR.open(address) as watched, sql.transaction():
        await sql.execute('lock table "Odd"."Verdicts"')
        found = await watched.write(TABLE, [FIRST])
    assert found is not None
    assert "takes longer than" in found.reason


async def test_nothing_to_write_still_tells_whether_it_could_be(outside):
    """So that who names a table that is not there hears of it before anything breaks."""
    address, sql = outside
    async with NEAR.open(address) as watched:
        found = await watched.write(TABLE, [])
        assert found is not None
        assert "no table" in found.reason
        await sql.execute(MADE)
        assert await watched.write(TABLE, []) is None
    assert await written(sql) == []


async def test_a_connection_that_ends_while_it_writes_is_lost(outside):
    """It is no fault of the table."""
    address, sql = outside
    await sql.execute(MADE)
    async with NEAR.open(address) as watched:
        await sql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = $1",
            address.database,
        )
        with pytest.raises(UnavailableError, match="lost"):
            await watched.write(TABLE, [FIRST])
