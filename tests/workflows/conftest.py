"""The scene that every story of these tests begins with."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from domain.execution import RunStatus
from domain.identity import Role
from tests.database import AddPerson, Tenant
from tests.engine import World
from tests.workflows.scene import Scene, SetScene, a_pipeline


@pytest_asyncio.fixture
async def set_scene(world: World, tenant: Tenant, add_person: AddPerson) -> AsyncIterator[SetScene]:
    """Makes people and a pipeline, and lets it pass once on version 1."""
    folder = Path(tempfile.mkdtemp(prefix="suture-scene-"))
    folder.chmod(0o777)  # stages run as other users

    async def set_up(
        *, environment: str = "prod", heal_within: str = "24h", dry_run: bool = True, of: Tenant = tenant
    ) -> Scene:
        author = await add_person(of, Role.AUTHOR, Role.OPERATOR)
        scene = Scene(
            world=world,
            tenant=of,
            author=author,
            approver=await add_person(of, Role.APPROVER),
            operator=await add_person(of, Role.OPERATOR),
            folder=folder,
            pipeline=await a_pipeline(world, author, folder, environment, heal_within, dry_run),
        )
        healthy = await scene.start()
        await scene.until_run(healthy.id, RunStatus.SUCCEEDED)
        return scene

    yield set_up
    for hold in folder.glob("hold-*"):
        hold.unlink()
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture
async def scene(set_scene: SetScene) -> Scene:
    """In production, where people decide."""
    return await set_scene()
