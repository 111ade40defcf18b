"""What has served is removed after a day and nothing else is; ledgers are signed; the months to come are ready."""

import secrets
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.checkpoints import CheckpointFolder
from adapters.signing import Ed25519Signer
from domain.actor import PROVISION
from domain.errors import InvalidError
from domain.ledger import Reason
from provision import provision
from services.audit import Audit
from services.checkpoints import Checkpoints
from services.upkeep import Retention, Upkeep
from storage.admin import OWNER, open_admin
from storage.engine import open_engine
from storage.upkeep import Heads, Removals
from tests.database import HMAC_KEY, PASSWORDS, create_database

LETTERS = text("""
insert into outbox (org_id, kind, payload, due_at, created_at, delivered_at)
select :org, 'wake', '{}', suture.now() + interval '1 year', suture.now() - make_interval(hours => hours),
  case when delivered then suture.now() - make_interval(hours => hours) end
from (values (30, true), (23, true), (30, false)) as t (hours, delivered), generate_series(1, :each)""")
KEYS = text("""
insert into idempotency_keys (org_id, principal_id, route, key, body_digest, created_at)
select :org, :principal, '/x', hours || :salt, repeat('0', 64), suture.now() - make_interval(hours => hours)
from (values (30), (23)) as t (hours)""")
CUT = (
    text("delete from audit_details where org_id = :org and seq = :size"),
    text("delete from audit_logs where org_id = :org and seq = :size"),
    text("""update audit_heads set seq = :size - 1,
      hash = (select hash from audit_logs where org_id = :org and seq = :size - 1) where org_id = :org"""),
)
LEFT = text("""select (select count(*) from outbox where org_id = :org and delivered_at is not null),
(select count(*) from outbox where org_id = :org and delivered_at is null),
(select count(*) from idempotency_keys where org_id = :org)""")


class Nothing:
    async def sign_grown(self):
        return 0


@pytest.fixture
def nothing():
    """No ledger to sign."""
    return Nothing()


@pytest_asyncio.fixture
async def removals(database_urls):
    engine = open_engine(database_urls.upkeep, size=2)
    yield Removals(engine)
    await engine.dispose()


@pytest.fixture
def audit(database, tmp_path):
    return Audit(database, Ed25519Signer(tmp_path / "signing.key"), CheckpointFolder(tmp_path / "checkpoints"))


class HeadOf(Heads):
    """What upkeep reads, but of the test's own org alone: other tests leave ledgers that are not whole."""

    def __init__(self, engine, org):
        super().__init__(engine)
        self._org = org

    async def page(self, *, after, limit):
        return [(org, size) for org, size in await super().page(after=after, limit=100_000) if org == self._org]


@pytest.fixture
def upkeep(removals, audit, org):
    return Upkeep(removals, Checkpoints(HeadOf(removals._engine, org), audit))


@pytest.fixture
def grow(database, ledger, org):
    """Adds one entry to the ledger of the test's org."""

    async def add():
        async with database.transaction(org) as session:
            await ledger.append(session, org, "grown", actor=PROVISION, resource_type="org", resource_id="x")

    return add


async def test_a_ledger_that_has_grown_is_signed_once(upkeep, audit, grow, org):
    """Without anybody asking; as long as nothing is added there is no second note."""
    await grow()
    await upkeep.sign_grown()
    first = await audit.latest_checkpoint(org)
    assert await audit.signed_size(org) == (await audit.verify(org)).size
    await upkeep.sign_grown()
    assert await audit.latest_checkpoint(org) == first
    await grow()
    await upkeep.finish()
    assert await audit.signed_size(org) == (await audit.verify(org)).size
    assert await audit.latest_checkpoint(org) != first


async def test_a_tail_cut_after_the_last_hour_is_found(upkeep, audit, grow, org, superuser, caplog):
    """`verify` compares with the newest note, and upkeep says in its log which ledger is not whole; others are signed."""
    await grow()
    await upkeep.sign_grown()
    size = await audit.signed_size(org)
    async with superuser.begin() as connection:
        for statement in CUT:
            await connection.execute(statement, {"org": org, "size": size})
    fault = (await audit.verify(org)).fault
    assert (fault.seq, fault.reason) == (size, Reason.CUT)
    with caplog.at_level("ERROR"):
        await upkeep.sign_grown()
    assert [(each.message, each.org) for each in caplog.records] == [("a ledger is not whole", org.shown)]


async def test_what_has_served_for_a_day_goes(removals, nothing, superuser, tenant):
    """Younger rows stay, and so does every letter that is not delivered, however old."""
    async with superuser.begin() as connection:
        await connection.execute(LETTERS, {"org": tenant.org, "each": 1_200})
        given = {"org": tenant.org, "principal": tenant.admin.id, "salt": secrets.token_hex(4)}
        await connection.execute(KEYS, given)
    assert await Upkeep(removals, nothing).remove_served() >= 1_201
    async with superuser.connect() as connection:
        left = tuple((await connection.execute(LEFT, {"org": tenant.org})).one())
    assert left == (1_200, 1_200, 1)


async def test_one_process_at_a_time_removes(removals):
    """Whoever comes second does not lead until the first has ended."""
    async with removals.lead() as first, removals.lead() as second:
        assert (first is None, second is None) == (False, True)
    async with removals.lead() as third:
        assert third is not None


LATER = """
create or replace function suture.now() returns timestamptz language sql volatile as
  $$ select clock_timestamp() + interval '%s months' $$"""
MONTHS = text("""
select to_char(date_trunc('month', suture.now() at time zone 'UTC') + make_interval(months => ahead), '"signals_"YYYY_MM')
from generate_series(0, 2) ahead""")
THERE = text("""
select c.relname, c.relrowsecurity and c.relforcerowsecurity, pg_get_userbyid(c.relowner), p.polname is not null
from pg_class c left join pg_policy p on p.polrelid = c.oid where c.relispartition and c.relkind = 'r'""")
SIGNAL = text("""
with org as (insert into orgs (name) values (gen_random_uuid()::text) returning id)
insert into signals (org_id, received_at, ts, source, kind)
select id, suture.now() + make_interval(months => :ahead), suture.now(), 'x', 'event' from org
returning tableoid::regclass::text""")


@pytest_asyncio.fixture
async def months(postgres, kms):
    """A database of its own whose clock is set forwards, and its upkeep."""
    urls = await create_database(postgres, "suture_months")
    await provision(urls.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)
    owner, engine = open_admin(urls.admin), open_engine(urls.upkeep, size=2)

    async def later(count):
        async with owner.begin() as connection:
            await connection.exec_driver_sql(LATER % count)

    yield owner, Removals(engine), later
    await engine.dispose()
    await owner.dispose()


async def _states(owner):
    """The three months that should have a partition, and each partition that there is, as the catalogue shows it."""
    async with owner.connect() as connection:
        wanted = set((await connection.scalars(MONTHS)).all())
        return wanted, {tuple(row) for row in await connection.execute(THERE)}


async def test_upkeep_keeps_the_next_two_months_ready(months, nothing):
    """As time goes on there is a partition for the present month and for two ahead, protected like the first ones."""
    owner, removals, later = months
    for count in (1, 5):
        await later(count)
        await Upkeep(removals, nothing).keep_months()
        wanted, there = await _states(owner)
        assert wanted <= {name for name, *_ in there}
        assert {row[1:] for row in there} == {(True, OWNER, True)}


async def test_a_signal_lies_in_the_partition_of_its_month(months):
    """What arrives this month, next month or in two is not in the default partition; what comes later is, until upkeep ran."""
    owner, _, _ = months
    async with owner.begin() as connection:
        places = [await connection.scalar(SIGNAL, {"ahead": ahead}) for ahead in range(4)]
        wanted = (await connection.scalars(MONTHS)).all()
    assert places == [*wanted, "signals_default"]


async def test_a_month_whose_signals_are_in_the_default_partition_stays_there(months):
    """Nothing is lost and nothing breaks: upkeep names the month, and makes the others."""
    owner, removals, later = months
    async with owner.begin() as connection:
        assert await connection.scalar(SIGNAL, {"ahead": 5}) == "signals_default"
    await later(4)
    wanted, _ = await _states(owner)
    assert await removals.keep_months() == [sorted(wanted)[1]]
    _, there = await _states(owner)
    assert {name for name, *_ in there} & wanted == wanted - {sorted(wanted)[1]}


ROLLUPS = text("""
with org as (insert into orgs (name) values (gen_random_uuid()::text) returning id),
aged as (select id, suture.now() - make_interval(days => age) as at from org, unnest(array[1, 60, 100, 500]) as age),
ones as (insert into signal_rollups_1m (org_id, environment, service, kind, subject, at, count)
  select id, 'prod', 'x', 'log', '', at, 1 from aged)
insert into signal_rollups_5m (org_id, environment, service, kind, subject, at, count)
select id, 'prod', 'x', 'log', '', at, 1 from aged""")
KEPT = text("""select (select count(*) from signals), (select count(*) from signals_default),
(select count(*) from signal_rollups_1m), (select count(*) from signal_rollups_5m)""")


async def test_signals_go_before_their_minutes_and_those_before_five_minutes(months, nothing):
    """Months that are old go as a whole, and so do rows without a partition; what was added up stays for longer."""
    owner, removals, later = months
    async with owner.begin() as connection:
        for ahead in (0, 1, 2, 4):
            await connection.execute(SIGNAL, {"ahead": ahead})
    await later(6)
    await removals.keep_months()
    async with owner.begin() as connection:
        await connection.execute(SIGNAL, {"ahead": 0})
        await connection.execute(ROLLUPS)
        before = tuple((await connection.execute(KEPT)).one())
    await Upkeep(removals, nothing).remove_old()
    async with owner.connect() as connection:
        after = tuple((await connection.execute(KEPT)).one())
    _, there = await _states(owner)

    assert before == (5, 1, 4, 4)
    assert after == (1, 0, 2, 3)
    assert len(there) == 4
    assert {row[1:] for row in there} == {(True, OWNER, True)}


SENT = text("""
with org as (insert into orgs (name) values (gen_random_uuid()::text) returning id)
insert into signal_keys (org_id, idempotency_key, signal_id, created_at)
select id, age::text, uuidv7(), suture.now() - make_interval(days => age) from org, unnest(array[0, 29, 31, 400]) as age
returning org_id""")
KNOWN = text("select idempotency_key from signal_keys where org_id = :org order by created_at")


async def test_the_key_of_a_signal_is_known_as_long_as_signals_are_kept(months, nothing):
    """What is sent again after that is new."""
    owner, removals, _ = months
    async with owner.begin() as connection:
        org = (await connection.execute(SENT)).scalars().first()
    await Upkeep(removals, nothing, Retention(signals=timedelta(days=30))).remove_old()
    async with owner.connect() as connection:
        assert list((await connection.execute(KNOWN, {"org": org})).scalars()) == ["29", "0"]


async def test_a_young_key_is_removed_by_nobody(months):
    """Whatever the role that removes asks for: a delivery could be repeated as a new one."""
    owner, removals, _ = months
    async with owner.begin() as connection:
        org = (await connection.execute(SENT)).scalars().first()
    await removals.old_signal_keys(kept_for=timedelta(0), limit=1_000)
    async with owner.connect() as connection:
        assert list((await connection.execute(KNOWN, {"org": org})).scalars()) == ["0"]


async def test_nothing_that_is_young_goes(months, nothing):
    """The present month stays whatever is said, and nobody can ask for less than a day."""
    owner, removals, _ = months
    async with owner.begin() as connection:
        await connection.execute(SIGNAL, {"ahead": 0})
    await Upkeep(removals, nothing, Retention(signals=timedelta(days=1))).remove_old()
    with pytest.raises(DBAPIError, match="kept for a day at least"):
        await removals.old_signals(kept_for=timedelta(hours=23))
    async with owner.connect() as connection:
        assert (await connection.execute(KEPT)).one()[0] == 1


@pytest.mark.parametrize(
    "kept", [{"signals": timedelta(hours=1)}, {"minutes": timedelta(days=29)}, {"five_minutes": timedelta(days=89)}]
)
def test_what_is_coarser_is_kept_for_longer(kept):
    """Anything else is refused when it is set."""
    with pytest.raises(InvalidError):
        Retention(**kept)
