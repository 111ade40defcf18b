"""A connection that died while nobody used it is replaced before it is used."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from storage import engine as storage_engine
from storage.engine import Database, open_engine

PID = text("select pg_backend_pid()")


@pytest.fixture
async def only(database_urls, org):
    """Says which server process serves the next transaction, over a pool of one."""
    database = Database(open_engine(database_urls.app, size=1))

    async def ask():
        async with database.transaction(org) as session:
            return (await session.scalars(PID)).one()

    ask.engine = database._engine
    yield ask
    await database.close()


async def test_a_connection_is_kept(only):
    """Whoever comes next gets the same."""
    assert await only() == await only()


async def test_a_connection_that_the_server_ended_is_replaced(only, superuser):
    """As after a restart of the server: nobody who comes later hears of it."""
    before = await only()
    async with superuser.begin() as connection:
        await connection.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": before})
    assert await only() != before


async def test_a_connection_that_broke_while_it_was_idle_is_replaced(only, monkeypatch):
    """Nobody said that it broke, so it is asked."""
    before = await only()
    monkeypatch.setattr(storage_engine, "_IDLE", timedelta())
    async with only.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
    raw._transport.abort()
    assert not raw.is_closed()
    assert await only() != before
