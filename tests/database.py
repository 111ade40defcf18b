"""Fixtures with the real database: one server and one provisioned database per session, one org per test."""

import hashlib
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters import secrets as sealer
from adapters.reaching import Reach
from adapters.redaction import PatternRedactor
from adapters.secrets import MasterKeyFile
from domain.actor import PROVISION
from domain.base import OrgId, Value
from domain.identity import Caller, Kind, Role
from domain.principals import NewPrincipal, NewToken
from provision import founding, provision
from services.connectors import Connectors
from services.founding import first_admin
from services.identity import Identity
from services.keyring import OrgKeyring
from services.ledger import Ledger
from services.platform import Platform
from services.principals import Principals
from services.secrets import Secrets
from stack import ports
from stack.postgres import Postgres, PostgresAddress
from stack.supervise import Supervisor
from storage.admin import OWNER, ROLES, open_admin
from storage.engine import Database, open_engine

HMAC_KEY = hashlib.sha256(b"the tests' own").digest()
PASSWORDS = {role: f"{role}-{secrets.token_hex(16)}" for role in ROLES}

SHIFTABLE_CLOCK = """
create table suture.shift (org uuid primary key, by interval not null);
grant select on suture.shift to suture_app, suture_relay, suture_upkeep, suture_platform;
alter table orgs alter column is_first set default true;
create or replace function suture.now() returns timestamptz language sql volatile as $$
  select clock_timestamp() + coalesce(
    (select s.by from suture.shift s where s.org = suture.org()),
    (select max(s.by) from suture.shift s where current_user = 'suture_relay'),
    interval '0') $$"""
ADVANCE = text("insert into suture.shift values (:org, :by) on conflict (org) do update set by = suture.shift.by + excluded.by")


class DatabaseUrls(Value):
    """One database, as each role reaches it."""

    admin: str
    app: str
    relay: str
    upkeep: str
    platform: str


class Tenant(Value):
    """An org of one test, with its first admin and his token."""

    org: OrgId
    admin: Caller
    token: str


Shift = Callable[[OrgId, timedelta], Awaitable[None]]
FoundOrg = Callable[[], Awaitable[Tenant]]
AddPerson = Callable[..., Awaitable[Caller]]


def url_of(address: PostgresAddress, *, user: str, password: str, database: str) -> str:
    return f"postgresql+asyncpg://{user}:{quote(password)}@/{database}?host={quote(address.host)}&port={address.port}"


def urls_of(address: PostgresAddress, database: str) -> DatabaseUrls:
    admin = url_of(address, user=address.user, password=address.password.get_secret_value(), database=database)
    others = {
        role.removeprefix("suture_"): url_of(address, user=role, password=PASSWORDS[role], database=database) for role in ROLES
    }
    return DatabaseUrls(admin=admin, **others)


async def create_database(address: PostgresAddress, name: str) -> DatabaseUrls:
    """A fresh, empty database."""
    engine = open_admin(urls_of(address, "postgres").admin)
    async with engine.connect() as connection:
        raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await raw.exec_driver_sql(f"drop database if exists {name}")
        await raw.exec_driver_sql(f"create database {name}")
    await engine.dispose()
    return urls_of(address, name)


async def make_clock_shiftable(admin_url: str) -> None:
    engine = open_admin(admin_url, role=OWNER)
    async with engine.begin() as connection:
        for statement in SHIFTABLE_CLOCK.split(";\n"):
            await connection.exec_driver_sql(statement)
    await engine.dispose()


@asynccontextmanager
async def served(folder: Path, *, durable: bool) -> AsyncIterator[PostgresAddress]:
    """The embedded server on a port of its own, with its state in `folder`, which other users may enter."""
    server = Postgres(folder, durable=durable, tcp_port=ports.choose(0)[0])
    supervisor = Supervisor(folder / "logs", report=lambda _: None)
    await supervisor.open()
    try:
        await server.prepare()
        await supervisor.run(server.spec(), ready=server.is_ready)
        yield server.address
    finally:
        await supervisor.close()
        server.clean()


@pytest_asyncio.fixture(scope="session")
async def postgres() -> AsyncIterator[PostgresAddress]:
    """The server; it dies with the tests."""
    folder = Path(tempfile.mkdtemp(prefix="suture-tests-"))
    folder.chmod(0o711)
    try:
        async with served(folder, durable=False) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kms(tmp_path_factory: pytest.TempPathFactory) -> MasterKeyFile:
    return MasterKeyFile(tmp_path_factory.mktemp("keys") / "master.key")


@pytest_asyncio.fixture(scope="session")
async def database_urls(postgres: PostgresAddress, kms: MasterKeyFile) -> DatabaseUrls:
    """A provisioned database whose clock can be shifted for one org."""
    urls = await create_database(postgres, "suture_tests")
    await provision(urls.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)
    await make_clock_shiftable(urls.admin)
    return urls


@pytest_asyncio.fixture(scope="session")
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The database as the application reaches it."""
    database = Database(open_engine(database_urls.app, size=8))
    yield database
    await database.close()


@pytest_asyncio.fixture(scope="session")
async def superuser(database_urls: DatabaseUrls) -> AsyncIterator[AsyncEngine]:
    """Whoever holds the whole server: what an attacker with root has."""
    engine = open_admin(database_urls.admin)
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture(scope="session")
async def platform(database_urls: DatabaseUrls) -> AsyncIterator[Platform]:
    database = Database(open_engine(database_urls.platform, size=2))
    yield Platform(database, actor="tester")
    await database.close()


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(scope="session")
def identity(database: Database, ledger: Ledger) -> Identity:
    return Identity(database, ledger, hmac_key=HMAC_KEY)


@pytest.fixture(scope="session")
def principals(database: Database, ledger: Ledger) -> Principals:
    return Principals(database, ledger)


@pytest.fixture
def keyring(database: Database, kms: MasterKeyFile) -> OrgKeyring:
    return OrgKeyring(database, kms)


@pytest.fixture
def secret_store(database: Database, ledger: Ledger, keyring: OrgKeyring) -> Secrets:
    return Secrets(
        database,
        ledger,
        keyring,
        sealer,
        Connectors(database, ledger, keyring, sealer, sources=(), reach=Reach(), credentials=PatternRedactor()),
    )


@pytest.fixture(scope="session")
def found_org(database: Database, platform: Platform, identity: Identity, kms: MasterKeyFile) -> FoundOrg:
    """Makes one more org."""

    async def found() -> Tenant:
        org = (await platform.create_org(f"org-{secrets.token_hex(6)}")).id
        token = await founding(database, kms=kms, hmac_key=HMAC_KEY).found(org, admin=first_admin("admin"), keep=lambda _: None)
        assert token is not None
        shown = token.secret.get_secret_value()
        return Tenant(org=org, admin=await identity.authenticate(shown), token=shown)

    return found


@pytest_asyncio.fixture
async def tenant(found_org: FoundOrg) -> Tenant:
    """This test's own org and its admin."""
    return await found_org()


@pytest.fixture
def org(tenant: Tenant) -> OrgId:
    return tenant.org


@pytest.fixture
def add_person(database: Database, identity: Identity, principals: Principals) -> AddPerson:
    """Adds a principal with roles, and returns it as its own token presents it."""

    async def add(tenant: Tenant, *roles: Role, kind: Kind = Kind.PERSON, scopes: tuple[str, ...] = ("*",)) -> Caller:
        owner = None if kind is Kind.PERSON else tenant.admin.id
        wanted = NewPrincipal(kind=kind, name=f"{kind}-{secrets.token_hex(4)}", owner=owner, roles=frozenset(roles))
        principal = await principals.create(tenant.admin, wanted)
        async with database.transaction(tenant.org) as session:
            issued = await identity.issue(
                session, principal, NewToken(principal=principal.id, scopes=scopes), issuer=principal.id, actor=PROVISION
            )
        return await identity.authenticate(issued.secret.get_secret_value())

    return add


@pytest_asyncio.fixture(scope="session")
async def shift(database_urls: DatabaseUrls) -> AsyncIterator[Shift]:
    """Moves the clock of one org; only forwards, as time does."""
    engine = open_admin(database_urls.admin, role=OWNER)

    async def advance(org: OrgId, by: timedelta) -> None:
        async with engine.begin() as connection:
            await connection.execute(ADVANCE, {"org": org, "by": by})

    yield advance
    await engine.dispose()
