"""The API in process, on the real database; the engine and policy are fakes at their ports."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace
from typing import cast

import httpx2
import pytest
import pytest_asyncio
import uvicorn
from prometheus_client import CollectorRegistry

import bootstrap
import outside
from adapters.blobs import DirectoryBlobs
from adapters.secrets import MasterKeyFile
from adapters.signing import Ed25519Signer
from api.app import create
from api.streams import Streams
from services.keyring import OrgKeyring
from services.ledger import Ledger
from services.registry import Services
from settings import Settings
from stack import ports
from storage.engine import Database
from tests.api.fakes import FakeEngine, RolePolicy
from tests.api.site import EVERY, Incident, Person, Site, everything
from tests.database import HMAC_KEY, FoundOrg, Tenant

UI = "http://127.0.0.1:8233"
BRIEF = Streams(every=timedelta(milliseconds=10), alive=timedelta(milliseconds=50), lasts=timedelta(milliseconds=200))


@pytest_asyncio.fixture(scope="session")
async def site(
    database: Database, ledger: Ledger, kms: MasterKeyFile, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    chosen = Settings(data=folder, temporal_ui_url=UI, reachable=(ip_network("127.0.0.2/32"),))
    engine, policy = FakeEngine(), RolePolicy()
    base = SimpleNamespace(
        database=database,
        engine=engine,
        policy=policy,
        keyring=OrgKeyring(database, kms),
        ledger=ledger,
        signer=Ed25519Signer(folder / "signing.key"),
        blobs=DirectoryBlobs(folder / "blobs"),
        hmac_key=HMAC_KEY,
    )
    services = Services(**bootstrap._use_cases(cast(outside.Base, base), chosen))
    engine.deciding = services.deciding
    app = create(services, chosen, registry=CollectorRegistry(), streams=BRIEF)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        yield Site(app, services, database, engine, policy, client)


@pytest.fixture
async def someone(site: Site, tenant: Tenant) -> Person:
    """A person with every role in this test's org."""
    return await site.person(tenant, *EVERY)


@pytest_asyncio.fixture(scope="session")
async def ours(site: Site, found_org: FoundOrg) -> Incident:
    """An org with one object of every kind; only for tests that change nothing of it."""
    return await everything(site, await found_org())


@pytest_asyncio.fixture(scope="session")
async def theirs(site: Site, found_org: FoundOrg) -> Incident:
    """The same in another org."""
    return await everything(site, await found_org())


@pytest.fixture
async def served(site: Site) -> AsyncIterator[str]:
    """The API behind a real socket."""
    (port,) = ports.choose(0)
    server = uvicorn.Server(uvicorn.Config(site.app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    yield f"http://127.0.0.1:{port}/api/v1"
    server.should_exit = True
    await serving
