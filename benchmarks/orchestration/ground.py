"""Where the benchmarks run: a stack of their own, everything durable, with one org that heals by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client

from adapters.codec import data_converter
from adapters.private_file import read_or_create
from adapters.secrets import MasterKeyFile
from domain.identity import Caller
from provision import founding
from services.founding import first_admin
from services.identity import Identity
from services.keyring import OrgKeyring
from services.ledger import Ledger
from services.platform import Platform
from settings import Settings
from stack.bundle import Sources
from stack.local import Endpoints, Plan, Preferred, Stack
from storage import identity as identities
from storage.engine import Database, open_engine
from tests.database import HMAC_KEY, DatabaseUrls
from tests.engine import ENVIRONMENTS, QUEUES, ROOT, search, search_attributes
from workflows.client import connect


@asynccontextmanager
async def durable_stack(data: Path) -> AsyncIterator[Endpoints]:
    """As on one machine: everything durable, no clock but the real one."""
    plan = Plan(
        tools=search(),
        policies=Sources(rego=ROOT / "policies" / "rego", data=ROOT / "policies" / "data"),
        search_attributes=search_attributes(),
        preferred=Preferred(temporal=0, temporal_ui=0, opa=0),
    )
    async with Stack(data, plan, report=lambda _: None) as endpoints:
        yield endpoints


def settings_of(endpoints: Endpoints, urls: DatabaseUrls, data: Path) -> Settings:
    read_or_create(data / "keys" / "hmac.key", lambda: HMAC_KEY)
    return Settings(
        data=data,
        database_url=urls.app,
        database_relay_url=urls.relay,
        database_pool=16,
        temporal_address=endpoints.temporal_address,
        opa_url=endpoints.opa_url,
        queues=QUEUES,
        environments=ENVIRONMENTS,
        lease=timedelta(seconds=30),
    )


@asynccontextmanager
async def connected(chosen: Settings) -> AsyncIterator[Client]:
    """A client with the payload keys of the orgs."""
    database = Database(open_engine(needed(chosen.database_url), size=2))
    try:
        keyring = OrgKeyring(database, MasterKeyFile(chosen.data / "keys" / "master.key"))
        yield await connect(chosen.temporal_address or "", data_converter(keyring))
    finally:
        await database.close()


def environment_of(chosen: Settings) -> dict[str, str]:
    """The same settings for a process of its own."""
    secret = {
        "SUTURE_DATABASE_URL": needed(chosen.database_url),
        "SUTURE_DATABASE_RELAY_URL": needed(chosen.database_relay_url),
    }
    plain = ("data", "database_pool", "temporal_address", "opa_url")
    return {
        **secret,
        **{f"SUTURE_{name.upper()}": str(getattr(chosen, name)) for name in plain},
        "SUTURE_ENVIRONMENTS": ",".join(chosen.environments),
        "SUTURE_LEASE": f"{int(chosen.lease.total_seconds())}s",
    }


def needed(url: SecretStr | None) -> str:
    assert url is not None
    return url.get_secret_value()


async def found_org(urls: DatabaseUrls, kms: MasterKeyFile) -> Caller:
    """An org with the automatic mode released, and its admin."""
    platform, app = Database(open_engine(urls.platform, size=2)), Database(open_engine(urls.app, size=2))
    try:
        org = (await Platform(platform, actor="bench").create_org("bench")).id
        token = await founding(app, kms=kms, hmac_key=HMAC_KEY).found(org, admin=first_admin("admin"), keep=lambda _: None)
        async with app.transaction(org) as session:
            await identities.set_automatic(session, org, released=True)
        assert token is not None
        return await Identity(app, Ledger(), hmac_key=HMAC_KEY).authenticate(token.secret.get_secret_value())
    finally:
        await platform.close()
        await app.close()
