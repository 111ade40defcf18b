"""Somebody else's database, and a connector of the test's own org that follows it, both made as the page says."""

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.connector import Connector, ConnectorConfig
from domain.incident import Incident
from domain.refs import FeedRef
from services.connectors import ConnectorPatch, NewConnector
from stack.postgres import PostgresAddress
from tests.database import Tenant
from tests.engine import World, until
from tests.unit.adapters.sources.pages import PAGES

PAGE = (PAGES / "postgres.md").read_text()
TABLE = """create table public.jobs (
  id bigint primary key, status text not null, message text, updated_at timestamptz not null default clock_timestamp())"""


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

    async def make_verdicts(self) -> None:
        """The table that what we think is written to."""
        await self.sql.execute(blocks("sql")[3])

    async def verdicts(self) -> list[dict[str, Any]]:
        """What a dashboard shows, the oldest first, each with the version of its row."""
        return [dict(row) for row in await self.sql.fetch("select *, xmin::text from suture_verdicts order by incident")]

    async def let_in(self, *, is_open: bool) -> None:
        """Whether the reader may connect; who is not to is thrown out."""
        await self.server.execute(f"alter role suture_reader {'login' if is_open else 'nologin'}")
        if not is_open:
            await self.server.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'suture_reader'")


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

    async def incidents(self) -> list[Incident]:
        return await self.world.services.incidents.page(self.tenant.admin, status=None, service="jobs", after=None, limit=10)

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


def wanted(url: SecretStr, config: ConnectorConfig | None = None) -> NewConnector:
    """The connector of the page, or with another config."""
    said = re.search(r"-d '(.*?)'\n", blocks("sh")[0], re.DOTALL)
    assert said is not None
    return NewConnector.model_validate(json.loads(said[1]) | {"secret": url} | ({"config": config} if config else {}))


def writing_back() -> ConnectorConfig:
    """As the page has it for who wants to see what we think."""
    return ConnectorConfig.model_validate(json.loads(blocks("json")[0])["config"])
