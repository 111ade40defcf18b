"""The scene that every story of these tests begins with, and the database outside of those that follow one."""

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest_asyncio
from pydantic import SecretStr

from domain.connector import ConnectorConfig
from domain.errors import NotFoundError
from domain.execution import RunStatus
from domain.identity import Role
from stack.postgres import PostgresAddress
from tests.database import AddPerson, Tenant, create_database
from tests.engine import World, until
from tests.workflows.outside import TABLE, Following, Outside, blocks, wanted
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


@pytest_asyncio.fixture
async def outside(postgres: PostgresAddress):
    """With the table, the trigger and the role of the page."""
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


@pytest_asyncio.fixture
async def follow(world: World, tenant: Tenant, outside: Outside):
    """Makes a connector, and has it removed."""
    made: list[Following] = []

    async def begin(url: SecretStr | None = None, *, config: ConnectorConfig | None = None, of: Tenant = tenant) -> Following:
        issued = await world.services.connectors.create(of.admin, wanted(url or outside.url(), config))
        made.append(Following(world, of, issued.connector))
        assert issued.secret is None
        return made[-1]

    yield begin
    for each in made:
        try:
            await world.services.connectors.remove(each.tenant.admin, each.connector.id)
        except NotFoundError:
            continue
        await until(each.is_left, why="nobody follows what is gone")
