"""No transaction ever sees, changes or writes another org's rows."""

import asyncio
import random

import pytest
from sqlalchemy import func, select, table, text
from sqlalchemy.exc import DBAPIError

from domain.base import OrgId
from domain.identity import Quota
from storage import quotas
from storage.engine import Database, open_engine, sqlstate
from tests.faults.report import counted

REQUESTS = counted(10_000)


class MidwayError(Exception):
    """What a request raises in the middle of its work."""


@pytest.fixture
async def narrow(database_urls):
    """A pool of two connections, which every request must share."""
    database = Database(open_engine(database_urls.app, size=2))
    yield database
    await database.close()


async def test_a15_interleaved_requests_never_meet_foreign_rows(narrow, found_org):
    """Two orgs take turns on two connections, a fifth of their requests fails midway, and none sees a row of the other."""
    orgs = [(await found_org()).org for _ in range(2)]
    chance, foreign, failed = random.Random(1), [], []
    gate = asyncio.Semaphore(8)

    async def request(org, fails, concurrent):
        async with gate, narrow.transaction(org) as session:
            seen = (await session.scalars(text("select org_id from quotas union all select id from orgs"))).all()
            foreign.extend(row for row in seen if row != org)
            await quotas.spend(session, org, "signals", 1)
            if fails:
                raise MidwayError

    async def guarded(number):
        try:
            await request(orgs[number % 2], chance.random() < 0.2, number)
        except MidwayError:
            failed.append(number)

    await asyncio.gather(*(guarded(number) for number in range(REQUESTS)))
    assert foreign == []
    assert REQUESTS * 0.1 < len(failed) < REQUESTS * 0.3


@pytest.mark.parametrize("setting", [None, ""])
async def test_a16_without_an_org_there_are_no_rows(database_urls, tenant, setting):
    """A transaction that forgot to name its org finds every table empty, without an error."""
    engine = open_engine(database_urls.app, size=1)
    async with engine.begin() as connection:
        if setting is not None:
            await connection.execute(text("select set_config('app.org', :setting, true)"), {"setting": setting})
        tables = await connection.scalars(
            text("select table_name from information_schema.columns where column_name = 'org_id'")
        )
        counts = {name: await connection.scalar(select(func.count()).select_from(table(name))) for name in (*tables, "orgs")}
    await engine.dispose()
    assert len(counts) > 40
    assert set(counts.values()) == {0}


async def test_the_org_ends_with_its_transaction(narrow, tenant):
    """A connection that goes back to the pool has forgotten its org."""
    async with narrow.transaction(tenant.org) as session:
        assert await session.scalar(text("select count(*) from orgs")) == 1
    async with narrow._engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from orgs")) == 0


async def test_rows_of_another_org_cannot_be_written(database, found_org):
    """Naming another org in a row is refused by the database itself."""
    mine, other = (await found_org()).org, (await found_org()).org
    with pytest.raises(DBAPIError) as refused:
        async with database.transaction(mine) as session:
            await quotas.put(session, other, Quota(name="planted", per_minute=1))
    assert sqlstate(refused.value) == "42501"


async def test_a_reference_to_another_org_is_refused(database, found_org):
    """A token cannot belong to a principal of another org."""
    mine, other = await found_org(), await found_org()
    statement = text(
        "insert into tokens (org_id, principal_id, issuer_id, hmac, scopes) values (:org, :principal, :principal, '', '{}')"
    )
    with pytest.raises(DBAPIError) as refused:
        async with database.transaction(mine.org) as session:
            await session.execute(statement, {"org": mine.org, "principal": other.admin.id})
    assert sqlstate(refused.value) == "23503"


async def test_an_unknown_org_sees_nothing(database):
    """An org that does not exist is like one without rows."""
    async with database.transaction(OrgId(int=random.getrandbits(120))) as session:
        assert await session.scalar(text("select count(*) from principals")) == 0
