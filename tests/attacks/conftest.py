"""The API on the real services, and a plan that waits for people."""

from collections.abc import AsyncIterator

import httpx2
import pytest_asyncio
from prometheus_client import CollectorRegistry

from api.app import create
from storage.engine import Database
from tests.attacks.case import Case
from tests.engine import World
from tests.workflows.conftest import scene, set_scene
from tests.workflows.scene import Scene
from tests.workflows.suggestions import a_suggestion

__all__ = ["scene", "set_scene"]


@pytest_asyncio.fixture(scope="session")
async def client(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    app = create(world.services, world.settings, registry=CollectorRegistry())
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as reached:
        yield reached


@pytest_asyncio.fixture
async def case(scene: Scene, database: Database, client: httpx2.AsyncClient) -> Case:
    plan, approval = await a_suggestion(scene)
    return Case(scene=scene, database=database, client=client, plan=plan, approval=approval)
