"""Fixtures with the real engine and policy: every worker pool in this process, and one clock for engine and database."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import ip_network
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import TimeSkippingConfig
from temporalio.testing._timeskipping import TimeSkipper

import bootstrap
from domain.base import OrgId
from services.registry import Services
from settings import Settings
from stack.bundle import Sources
from stack.interpreter import stage_python
from stack.local import Elsewhere, Endpoints, Plan, Stack, disposable, scratch
from stack.postgres import PostgresAddress
from stack.tools import Search, Tool, default_cache, find
from storage.engine import Database
from tests.database import HMAC_KEY, DatabaseUrls, Shift
from tests.losses import Losses
from worker import open_worker
from workflows.details import KEYS
from workflows.registry import WORKFLOWS

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("dev", "staging", "prod")
QUEUES = ("scheduler", "orchestrator", "replay", "io", "inference", *(f"execute-{each}" for each in ENVIRONMENTS))
LEASE = timedelta(seconds=2)
QUIET = timedelta(seconds=2)


def search() -> Search:
    explicit = {
        tool: Path(os.environ[name])
        for tool, name in ((Tool.TEMPORAL, "SUTURE_TEMPORAL_PATH"), (Tool.OPA, "SUTURE_OPA_PATH"))
        if name in os.environ
    }
    return Search(modules=ROOT / "tools", cache=default_cache(), path=os.environ["PATH"], explicit=explicit)


@cache
def program(tool: Tool) -> Path:
    """Where the product itself finds it; asked of a thread of its own, so that tests that run a loop may ask, too."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(find(tool, search(), lambda _: None))).result().path


def search_attributes() -> dict[str, str]:
    """Name and type of each attribute, as the engine's command line wants them."""
    return {key.name: key.indexed_value_type.name.replace("_", " ").title().replace(" ", "") for key in KEYS}


@pytest_asyncio.fixture(scope="session")
async def servers(postgres: PostgresAddress) -> AsyncIterator[tuple[Stack, Endpoints]]:
    """The engine and the policy server, beside the tests' database."""
    plan = Plan(
        tools=search(),
        policies=Sources(rego=ROOT / "policies" / "rego", data=ROOT / "policies" / "data"),
        search_attributes=search_attributes(),
        elsewhere=Elsewhere(postgres=postgres),
    )
    with scratch() as data:
        stack = Stack(data, disposable(plan), report=lambda _: None)
        async with stack as started:
            yield stack, started


@pytest.fixture(scope="session")
def endpoints(servers: tuple[Stack, Endpoints]) -> Endpoints:
    """Where they answer."""
    return servers[1]


@pytest.fixture(scope="session")
def chosen(endpoints: Endpoints, database_urls: DatabaseUrls, kms, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a process that serves everything."""
    data = tmp_path_factory.mktemp("data")
    (data / "keys").mkdir(mode=0o700)
    key = data / "keys" / "hmac.key"
    key.write_bytes(HMAC_KEY)
    key.chmod(0o600)
    return Settings(
        data=data,
        database_url=database_urls.app,
        database_relay_url=database_urls.relay,
        database_platform_url=database_urls.platform,
        temporal_address=endpoints.temporal_address,
        opa_url=endpoints.opa_url,
        master_key_file=kms._path,
        queues=QUEUES,
        environments=ENVIRONMENTS,
        lease=LEASE,
        watch_quiet=QUIET,
        reachable=(ip_network("127.0.0.1/32"),),
        stage_python=stage_python(default_cache().parent),
    )


@dataclass(frozen=True)
class World:
    """The product, served by this process; `advance` moves every clock of one org together."""

    services: Services
    client: Client
    settings: Settings
    skipper: TimeSkipper
    shift: Shift
    parts: bootstrap.WorkerParts
    stack: Stack
    losses: Losses
    telling: "Telling"
    database: Database

    async def advance(self, org: OrgId, by: timedelta, *handles: WorkflowHandle) -> None:
        await self.shift(org, by)
        for handle in handles:
            await self.skipper.fast_forward(handle, by)


class Telling:
    """The workers that run workflows, which keep them in memory or, for one test, do not."""

    def __init__(self, parts: bootstrap.WorkerParts, chosen: Settings) -> None:
        self._parts = parts
        self._chosen = chosen
        self._stack = AsyncExitStack()

    async def open(self, chosen: Settings | None = None) -> None:
        for queue in WORKFLOWS:
            await self._stack.enter_async_context(
                open_worker(self._parts.client, queue, self._parts.activities_of(queue), chosen or self._chosen)
            )

    async def close(self) -> None:
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def forgetting(self) -> AsyncIterator[None]:
        """Within the block every workflow task starts from the beginning of its history."""
        await self.close()
        await self.open(self._chosen.model_copy(update={"workflow_cache": 0}))
        try:
            yield
        finally:
            await self.close()
            await self.open()


async def until(look: Callable[[], Awaitable[bool]], *, within: float = 60.0, why: str = "") -> None:
    """Wait until `look` says so; the wait is bounded and says what it waited for."""
    try:
        async with asyncio.timeout(within):
            while not await look():
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise AssertionError(f"waited {within} s in vain: {why}") from None


async def _forget_letters(superuser: AsyncEngine) -> None:
    """Those of tests that had no engine: hundreds of stories that nobody looks at would be told first."""
    async with superuser.begin() as connection:
        await connection.execute(text("delete from outbox"))


@pytest_asyncio.fixture(scope="session")
async def world(
    chosen: Settings, shift: Shift, servers: tuple[Stack, Endpoints], database: Database, superuser: AsyncEngine
) -> AsyncIterator[World]:
    await _forget_letters(superuser)
    held: list[TimeSkipper] = []
    losses = Losses()

    def through(client: Client) -> Client:
        shaped = client.config()
        shaped["interceptors"] = [*shaped["interceptors"], losses]
        client = Client(**shaped)
        skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=False))
        held.append(skipper)
        return skipper.client

    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(bootstrap.worker_parts(chosen, through=through))
        telling = Telling(parts, chosen)
        await telling.open()
        stack.push_async_callback(telling.close)
        for queue in (each for each in QUEUES if each not in WORKFLOWS):
            await stack.enter_async_context(open_worker(parts.client, queue, parts.activities_of(queue), chosen))
        assert parts.relay is not None
        relay = asyncio.create_task(parts.relay.run())
        services = await stack.enter_async_context(bootstrap.api_services(chosen, through=through))
        yield World(
            services=services,
            client=parts.client,
            settings=chosen,
            skipper=held[0],
            shift=shift,
            parts=parts,
            stack=servers[0],
            losses=losses,
            telling=telling,
            database=database,
        )
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
