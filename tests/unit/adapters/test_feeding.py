"""Connections to databases of others, on the real server: checked, bounded, quoted, and with reasons that name nothing."""

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
from domain.errors import UnavailableError
from domain.feed import DatabaseAddress, Feed
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
