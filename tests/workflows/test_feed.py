"""A database is followed: what fails there is an incident here, and what was missed is read."""

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.connector import Connector, ConnectorStatus
from domain.errors import NotFoundError
from domain.refs import FeedRef
from services.connectors import ConnectorPatch, NewConnector
from stack.postgres import PostgresAddress
from tests.database import Tenant, create_database
from tests.engine import World, until
from tests.unit.adapters.sources.pages import PAGES

PAGE = (PAGES / "postgres.md").read_text()
TABLE = """create table public.jobs (
  id bigint primary key, status text not null, message text, updated_at timestamptz not null default clock_timestamp())"""
WITHIN_S = 2.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@dataclass
class Outside:
    """Somebody else's database, made as the page says."""

    address: PostgresAddress
    name: str
    sql: Any
    server: Any
    password: str = field(default_factory=lambda: secrets.token_hex(8))

    def url(self, password: str | None = None) -> SecretStr:
        where = f"127.0.0.1:{self.address.port}/{self.name}?sslmode=disable"
        return SecretStr(f"postgresql://suture_reader:{password or self.password}@{where}")

    async def insert(self, *rows: tuple[int, str]) -> None:
        await self.sql.executemany("insert into jobs (id, status) values ($1, $2)", rows)

    async def let_in(self, *, is_open: bool) -> None:
        """Whether the reader may connect; who is not to is thrown out."""
        await self.server.execute(f"alter role suture_reader {'login' if is_open else 'nologin'}")
        if not is_open:
            await self.server.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'suture_reader'")


@pytest_asyncio.fixture
async def outside(postgres: PostgresAddress):
    name = f"outside_{secrets.token_hex(4)}"
    await create_database(postgres, name)
    login = {"host": postgres.host, "port": postgres.port, "user": postgres.user}
    login |= {"password": postgres.password.get_secret_value()}
    server = await asyncpg.connect(**login, database="postgres")
    sql = await asyncpg.connect(**login, database=name)
    made = Outside(postgres, name, sql, server)
    await sql.execute(TABLE)
    for block in blocks("sql")[:2]:
        await sql.execute(block.replace("PASSWORD", made.password))
    yield made
    await sql.close()
    await server.execute(f"drop database {name} with (force)")
    await server.execute("drop role suture_reader")
    await server.close()


@dataclass
class Following:
    """A connector of the test's own org that follows it."""

    world: World
    tenant: Tenant
    connector: Connector

    @property
    def ref(self) -> FeedRef:
        return FeedRef(org=self.tenant.org, connector=self.connector.id)

    async def signals(self) -> list[str]:
        return await self._column("select text from signals order by received_at, id")

    async def reasons(self) -> list[str]:
        return await self._column("select reason from connector_deliveries where reason is not null order by id")

    async def _column(self, statement: str) -> list[str]:
        async with self.world.database.transaction(self.tenant.org) as session:
            return list(await session.scalars(text(statement)))

    async def heard(self, *texts: str) -> None:
        async def are_there() -> bool:
            return set(texts) <= set(await self.signals())

        await until(are_there, why=f"{texts} are heard")

    async def is_connected(self) -> bool:
        """It has looked where to begin, after it listens."""
        return bool(await self._column("select place from connector_positions"))

    async def is_left(self) -> bool:
        try:
            found = await self.world.client.get_workflow_handle(self.ref.workflow_id).describe()
        except RPCError:
            return False
        return found.status is WorkflowExecutionStatus.COMPLETED

    async def change(self, **changes: Any) -> None:
        await self.world.services.connectors.change(self.tenant.admin, self.connector.id, ConnectorPatch(**changes))


def wanted(url: SecretStr) -> NewConnector:
    """The connector of the page."""
    said = re.search(r"-d '(.*?)'\n", blocks("sh")[0], re.DOTALL)
    assert said is not None
    return NewConnector.model_validate(json.loads(said[1]) | {"secret": url})


@pytest_asyncio.fixture
async def follow(world: World, tenant: Tenant, outside: Outside):
    made: list[Connector] = []

    async def begin(url: SecretStr | None = None) -> Following:
        issued = await world.services.connectors.create(tenant.admin, wanted(url or outside.url()))
        made.append(issued.connector)
        assert issued.secret is None
        return Following(world, tenant, issued.connector)

    yield begin
    for each in made:
        following = Following(world, tenant, each)
        try:
            await world.services.connectors.remove(tenant.admin, each.id)
        except NotFoundError:
            continue
        await until(following.is_left, why="nobody follows what is gone")


async def test_what_fails_there_is_an_incident_here_within_two_seconds(follow, outside: Outside):
    """The page, followed to the letter: its trigger, its role, its connector, its row, its incident."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")

    await outside.sql.execute(blocks("sql")[2])
    began = time.monotonic()

    async def is_opened() -> bool:
        return bool(await incidents())

    async def incidents():
        return await following.world.services.incidents.page(
            following.tenant.admin, status=None, service="jobs", after=None, limit=10
        )

    await until(is_opened, within=WITHIN_S, why="an incident is opened")
    [incident] = await incidents()
    assert f"It opens an incident of `{incident.service}`: *{incident.title}*." in PAGE
    assert time.monotonic() - began < WITHIN_S


async def test_what_was_written_while_it_was_away_is_caught_up_and_nothing_is_heard_twice(follow, outside: Outside):
    """Rows of before, of meanwhile and of after a lost connection are each one signal."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")
    await outside.insert((1, "running"))
    await following.heard("public.jobs/1 is running")

    await outside.let_in(is_open=False)
    await outside.insert(*((number, "queued") for number in range(2, 1_302)))
    await until(following.reasons, why="the log says why nothing is heard")
    await outside.let_in(is_open=True)
    await following.heard("public.jobs/1301 is queued")
    await outside.insert((2_000, "running"))
    await following.heard("public.jobs/2000 is running")

    heard = await following.signals()
    assert len(heard) == len(set(heard)) == 1_302
    assert outside.password not in str(await following.reasons())


async def test_a_paused_connector_is_not_followed_and_then_reads_what_it_missed(follow, outside: Outside):
    """Its workflow ends; once it is active again the next one begins where it was."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")
    await following.change(status=ConnectorStatus.PAUSED)
    await until(following.is_left, why="nobody follows it")

    await outside.insert((1, "failed"))
    before = await following.signals()
    await following.change(status=ConnectorStatus.ACTIVE)
    await following.heard("public.jobs/1 is failed")

    assert before == []


async def test_a_wrong_password_stands_in_the_log_and_a_right_one_counts_at_once(follow, outside: Outside):
    """The reason is precise and names nothing of the address."""
    following = await follow(outside.url("wrong-password"))
    await until(following.reasons, why="the log says what is wrong")

    await following.world.services.connectors.rotate(following.tenant.admin, following.connector.id, outside.url())
    await until(following.is_connected, why="the right password counts")

    assert await following.reasons() == ["the database refuses the user or the password"]


async def test_a_row_that_is_larger_than_a_notification_is_read(follow, outside: Outside):
    """The writer's transaction is not refused, and the row is a signal."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")
    await outside.sql.execute("insert into jobs (id, status, message) values (1, 'failed', repeat('no space ', 1500))")

    async def is_read() -> bool:
        return any(each.startswith("public.jobs/1 is failed: no space no space") for each in await following.signals())

    await until(is_read, why="the large row is read")


async def test_nothing_of_it_is_anybody_elses(follow, found_org, outside: Outside):
    """Another org sees neither the connector nor what it heard, and its own id with this connector follows nothing."""
    following = await follow()
    await until(following.is_connected, why="the database is listened to")
    await outside.insert((1, "failed"))
    await following.heard("public.jobs/1 is failed")

    other = await found_org()
    theirs = Following(following.world, other, following.connector)
    connectors: Any = following.world.services.connectors
    with pytest.raises(NotFoundError):
        await connectors.get(other.admin, following.connector.id)
    with pytest.raises(NotFoundError):
        await connectors.followed(theirs.ref)
    assert await theirs.signals() == []
    assert await theirs.is_connected() is False
