"""What has served is removed after a day, in batches, and nothing else is."""

import secrets

import pytest_asyncio
from sqlalchemy import text

from services.upkeep import Upkeep
from storage.engine import open_engine
from storage.upkeep import Removals

LETTERS = text("""
insert into outbox (org_id, kind, payload, due_at, created_at, delivered_at)
select :org, 'wake', '{}', suture.now() + interval '1 year', suture.now() - make_interval(hours => hours),
  case when delivered then suture.now() - make_interval(hours => hours) end
from (values (30, true), (23, true), (30, false)) as t (hours, delivered), generate_series(1, :each)""")
KEYS = text("""
insert into idempotency_keys (org_id, principal_id, route, key, body_digest, created_at)
select :org, :principal, '/x', hours || :salt, repeat('0', 64), suture.now() - make_interval(hours => hours)
from (values (30), (23)) as t (hours)""")
LEFT = text("""select (select count(*) from outbox where org_id = :org and delivered_at is not null),
(select count(*) from outbox where org_id = :org and delivered_at is null),
(select count(*) from idempotency_keys where org_id = :org)""")


@pytest_asyncio.fixture
async def removals(database_urls):
    engine = open_engine(database_urls.upkeep, size=2)
    yield Removals(engine)
    await engine.dispose()


async def test_what_has_served_for_a_day_goes(removals, superuser, tenant):
    """Younger rows stay, and so does every letter that is not delivered, however old."""
    async with superuser.begin() as connection:
        await connection.execute(LETTERS, {"org": tenant.org, "each": 1_200})
        given = {"org": tenant.org, "principal": tenant.admin.id, "salt": secrets.token_hex(4)}
        await connection.execute(KEYS, given)
    assert await Upkeep(removals).remove_served() >= 1_201
    async with superuser.connect() as connection:
        left = tuple((await connection.execute(LEFT, {"org": tenant.org})).one())
    assert left == (1_200, 1_200, 1)


async def test_one_process_at_a_time_removes(removals):
    """Whoever comes second does not lead until the first has ended."""
    async with removals.lead() as first, removals.lead() as second:
        assert (first is None, second is None) == (False, True)
    async with removals.lead() as third:
        assert third is not None
