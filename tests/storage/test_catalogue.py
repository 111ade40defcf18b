"""What must be true of every table, also of those to come, in a database just migrated."""

import importlib
import re
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from sqlalchemy import text
from sqlmodel import SQLModel

import storage
from provision import provision
from storage import engine
from storage.admin import OWNER, ROLES, open_admin
from storage.migrate import migrate
from tests.database import HMAC_KEY, PASSWORDS, create_database

WITHOUT_ORG = frozenset({"orgs", "platform_kill_switches", "platform_audit_logs", "platform_keys", "alembic_version"})
APPEND_ONLY = frozenset(
    {
        "audit_logs",
        "audit_details",
        "platform_audit_logs",
        "decisions",
        "decision_requests",
        "approval_decisions",
        "evidence",
        "hypotheses",
        "hypothesis_evidence",
        "config_versions",
        "signals",
        "preflights",
        "snapshots",
        "receipts",
        "verdicts",
    }
)
CLOCKS = re.compile(
    r"\b(?<!suture\.)now\s*\(|clock_timestamp|statement_timestamp|transaction_timestamp|current_timestamp|current_date"
)
TABLES = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
PARTITIONS = "select relname from pg_class where relispartition and relkind in ('r', 'p')"
DEFINERS = """
select p.proname, p.proconfig[1], pg_get_userbyid(p.proowner),
  (select array_agg(r order by r) from unnest(cast(:roles as text[])) r where has_function_privilege(r, p.oid, 'execute')),
  p.proargtypes = ''
from pg_proc p where p.prosecdef and p.pronamespace in ('public'::regnamespace, 'suture'::regnamespace)"""
GRANTS = """
select grantee, table_name, privilege_type from information_schema.role_table_grants
where table_schema in ('public', 'suture') and grantee = any(:roles)
union select grantee, table_name, privilege_type from information_schema.column_privileges
where table_schema in ('public', 'suture') and grantee = any(:roles)"""
UNPROTECTED = """
select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
and not (c.relrowsecurity and c.relforcerowsecurity
         and exists (select from pg_policy p where p.polrelid = c.oid and p.polroles = '{0}' and p.polcmd = '*'
                     and pg_get_expr(p.polqual, c.oid) in ('(org_id = suture.org())', '(id = suture.org())')))"""
UNIQUE_KEYS = """
select c.relname, i.indexrelid::regclass::text, a.attname from pg_index i join pg_class c on c.oid = i.indrelid
left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
where i.indisunique and c.relnamespace = 'public'::regnamespace"""
EXPRESSIONS = """
select 'default of ' || d.adrelid::regclass || '.' || d.adnum, pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
union all select 'function ' || p.oid::regprocedure::text, p.prosrc from pg_proc p
  where p.pronamespace in ('public'::regnamespace, 'suture'::regnamespace)
union all select 'check ' || conname, pg_get_constraintdef(oid) from pg_constraint where contype = 'c'
union all select 'view ' || viewname, definition from pg_views where schemaname in ('public', 'suture')
union all select 'policy ' || policyname, coalesce(qual, '') || coalesce(with_check, '') from pg_policies"""


@pytest_asyncio.fixture(scope="module")
async def catalogue(postgres, kms):
    """A connection to a database of its own, whose clock nobody has touched."""
    urls = await create_database(postgres, "suture_catalogue")
    await provision(urls.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)
    engine = open_admin(urls.admin)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def _rows(connection, statement, **parameters):
    return {tuple(row) for row in await connection.execute(text(statement), parameters)}


async def _grants(connection, role):
    """What the role may do to each table, wholly or to some of its columns."""
    found = {}
    for _, table, privilege in await _rows(connection, GRANTS, roles=[role]):
        found.setdefault(table, set()).add(privilege)
    return found


async def test_a17_every_table_shows_only_the_org_of_the_transaction(catalogue):
    """Row-level security is on, holds for the owner too, and its policy names the org; exceptions are named here."""
    unprotected = {name for (name,) in await _rows(catalogue, UNPROTECTED)}
    assert unprotected == WITHOUT_ORG - {"orgs"}


async def test_no_policy_is_wider_than_its_role(catalogue):
    """Only the relay, upkeep and the platform have a policy that shows every org, on the tables named here."""
    wide = await _rows(catalogue, "select tablename, roles::text from pg_policies where qual = 'true'")
    assert wide == {
        ("outbox", "{suture_relay}"),
        ("outbox", "{suture_upkeep}"),
        ("idempotency_keys", "{suture_upkeep}"),
        ("audit_heads", "{suture_upkeep}"),
        ("signal_rollups_1m", "{suture_upkeep}"),
        ("signal_rollups_5m", "{suture_upkeep}"),
        ("orgs", "{suture_platform}"),
        ("environments", "{suture_platform}"),
    }


async def test_every_table_but_a_few_has_an_org(catalogue):
    """A table to come without an org must be added to the exceptions by name."""
    with_org = await _rows(catalogue, "select table_name from information_schema.columns where column_name = 'org_id'")
    tables = await _rows(catalogue, TABLES)
    assert {name for (name,) in tables - with_org} == WITHOUT_ORG


async def test_a17_every_unique_key_starts_with_the_org(catalogue):
    """So that no org learns from a conflict what another has."""
    keys = await _rows(catalogue, UNIQUE_KEYS)
    assert {index for table, index, column in keys if table not in WITHOUT_ORG and column != "org_id"} == set()


async def test_foreign_keys_stay_in_the_org(catalogue):
    """A row refers only to rows of its own org."""
    found = await _rows(
        catalogue,
        """select c.conname, c.conrelid::regclass::text from pg_constraint c
           join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
           where c.contype = 'f' and a.attname <> 'org_id'""",
    )
    assert found == set()


async def test_a17_views_ask_as_their_reader(catalogue):
    """A view never shows more than its reader may see."""
    views = await _rows(
        catalogue,
        """select relname, coalesce(reloptions::text, '') from pg_class
           where relkind in ('v', 'm') and relnamespace in ('public'::regnamespace, 'suture'::regnamespace)""",
    )
    assert views
    assert {name for name, options in views if "security_invoker=true" not in options} == set()


async def test_a17_the_roles_are_ordinary(catalogue):
    """None is a superuser, bypasses row-level security, is a member of another or owns anything."""
    strong = await _rows(
        catalogue,
        """select rolname from pg_roles where rolname = any(:roles)
           and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb
           or rolreplication or exists (select from pg_auth_members m where m.member = pg_roles.oid))""",
        roles=[OWNER, *ROLES],
    )
    owned = await _rows(
        catalogue,
        """select c.oid::regclass::text from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = any(:roles)
           union all select p.proname from pg_proc p join pg_roles r on r.oid = p.proowner where r.rolname = any(:roles)
           union all select n.nspname from pg_namespace n join pg_roles r on r.oid = n.nspowner
           where r.rolname = any(:roles)""",
        roles=list(ROLES),
    )
    assert (strong, owned) == (set(), set())


async def test_nobody_may_create_anything(catalogue):
    """No role of ours makes tables or functions; what runs with its owner's rights takes no word but how old is old."""
    creating = await _rows(
        catalogue,
        """select r, s from unnest(cast(:roles as text[])) r, unnest(array['public', 'suture']) s
           where has_schema_privilege(r, s, 'CREATE')""",
        roles=list(ROLES),
    )
    definers = {(*row[:3], *row[3], row[4]) for row in await catalogue.execute(text(DEFINERS), {"roles": list(ROLES)})}
    assert creating == set()
    assert definers == {
        ("keep_signal_months", "search_path=pg_catalog, pg_temp", OWNER, "suture_upkeep", True),
        ("drop_old_signals", "search_path=pg_catalog, pg_temp", OWNER, "suture_upkeep", False),
    }


async def test_a_partition_is_reached_through_its_table_alone(catalogue):
    """The present month of signals and the next two have one, and no role of ours may touch it by its own name."""
    partitions = {name for (name,) in await _rows(catalogue, PARTITIONS)}
    (present,) = (await _rows(catalogue, "select date_trunc('month', suture.now() at time zone 'UTC')")).pop()
    following = [present + timedelta(days=31 * ahead) for ahead in range(3)]
    assert partitions == {"signals_default", *(f"signals_{month:%Y_%m}" for month in following)}
    for role in ROLES:
        assert set(await _grants(catalogue, role)) & partitions == set()


async def test_append_only_tables_only_grow(catalogue):
    """No role of ours may change or remove what was recorded; nobody may truncate."""
    for role in ROLES:
        grants = await _grants(catalogue, role)
        assert {table for table in APPEND_ONLY if grants.get(table, set()) & {"UPDATE", "DELETE"}} == set()
        assert {table for table, privileges in grants.items() if privileges - {"SELECT", "INSERT", "UPDATE", "DELETE"}} == set()


async def test_the_grants_are_those_in_the_docstring(catalogue):
    """`storage/engine.py` says which tables each role touches, and that is what the database says."""
    said = dict(re.findall(r"^\| (suture_\w+) +\|[^|]+\| ([^|]+?) +\|$", engine.__doc__, re.MULTILINE))
    assert set(said) == set(ROLES)
    tables = {name for (name,) in await _rows(catalogue, TABLES) - await _rows(catalogue, PARTITIONS)}
    views = {name for (name,) in await _rows(catalogue, "select viewname from pg_views where schemaname = 'public'")}
    for role in ROLES:
        assert set(await _grants(catalogue, role)) == _named(said[role], tables, views), role


async def test_only_one_clock_counts(catalogue):
    """`suture.now()` is the database's clock, and nothing else reads one."""
    expressions = await _rows(catalogue, EXPRESSIONS)
    clock = [source for name, source in expressions if name == "function suture.now()"]
    assert [source.strip() for source in clock] == ["select clock_timestamp()"]
    assert {name for name, source in expressions if name != "function suture.now()" and CLOCKS.search(source)} == set()


def test_no_query_reads_another_clock():
    """Statements of ours ask `suture.now()` and nothing else."""
    files = Path(storage.__file__).parent.glob("*.py")
    assert {
        file.name for file in files if re.search(r"func\.now\(|clock_timestamp|current_timestamp", file.read_text())
    } == set()


async def test_rows_have_the_columns_of_their_tables(catalogue):
    """Every row class names the columns of its table, no more and no fewer, and agrees on which may be empty."""
    for file in Path(storage.__file__).parent.glob("*.py"):
        importlib.import_module(f"storage.{file.stem}")
    columns = await _rows(
        catalogue,
        """select table_name, column_name, is_nullable = 'YES' from information_schema.columns where table_schema = 'public'""",
    )
    tables = SQLModel.metadata.tables.values()
    modelled = {(table.name, column.name, bool(column.nullable)) for table in tables for column in table.columns}
    assert modelled == {row for row in columns if row[0] in {table.name for table in tables}}


async def test_migrating_again_changes_nothing(catalogue):
    """The newest schema stays as it is."""
    assert await migrate(catalogue.engine.url.render_as_string(hide_password=False)) == "0010"


def _named(said, tables, views):
    """The tables that a cell of the docstring means: names, `platform_*`, or every table but the platform's own."""
    if said.startswith("every table"):
        return (tables | views) - {"platform_audit_logs"}
    words = re.findall(r"[a-z_]+\*?", said.partition(":")[0])
    return {
        table for table in tables for word in words if table == word or (word.endswith("*") and table.startswith(word[:-1]))
    }
