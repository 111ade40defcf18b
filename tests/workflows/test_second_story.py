"""The story of the demo's second chapter on another series and another pipeline: nothing in the product knows the first."""

from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from demo.breakage import draw
from demo.files import read
from domain.approval import ApprovalStatus, Choice
from domain.evidence import Cause
from domain.execution import RunStatus
from domain.identity import Role
from domain.incident import Status
from tests.engine import until

CPU_LOAD = Path(__file__).parents[1] / "fixtures" / "cpu_load"


@pytest.fixture
async def hours(postgres):
    """The pipeline's own target database, as its stages reach it."""
    secret = postgres.password.get_secret_value()
    server = await asyncpg.connect(host=postgres.host, port=postgres.port, user=postgres.user, password=secret)
    await server.execute("drop database if exists second_story")
    await server.execute("create database second_story")
    await server.close()
    dsn = f"postgresql://{postgres.user}:{secret}@127.0.0.1:{postgres.port}/second_story"
    target = await asyncpg.connect(dsn)
    await target.execute((CPU_LOAD / "target.sql").read_text())
    yield dsn, target
    await target.close()


@pytest.mark.parametrize("seed", [1, 2])
async def test_another_pipeline_heals_by_the_same_story(world, tenant, add_person, hours, seed):
    """A renamed column fails the run; the diagnosis names its key, v1 is put back and the same run passes, once."""
    dsn, target = hours
    author, starter = await add_person(tenant, Role.AUTHOR), await add_person(tenant, Role.OPERATOR)
    approver, services = await add_person(tenant, Role.APPROVER), world.services
    spec = read(CPU_LOAD / "pipeline.yaml")
    broken = draw(spec, seed=seed)
    await services.secrets.put(tenant.admin, "prod", "hours_dsn", SecretStr(dsn))
    pipeline = await services.pipelines.apply(author, spec, await services.blobs.put_tree(CPU_LOAD / "src"))
    healthy = await services.runs.start(starter, pipeline.id)

    async def run(execution):
        return (await services.runs.get(starter, execution.id)).execution

    async def is_in(execution, *statuses):
        return (await run(execution)).status in statuses

    await until(lambda: is_in(healthy, RunStatus.SUCCEEDED), why="the healthy run", within=60)
    await services.pipelines.configure(author, pipeline.id, dict(broken.applied(spec).config))
    failed = await services.runs.start(starter, pipeline.id)

    async def asked():
        return bool(await services.approvals.page(starter, status=ApprovalStatus.OPEN, after=None, limit=1))

    await until(asked, why="an approval", within=60)
    waiting = await run(failed)
    assert waiting.failed_stage == broken.expected_stage
    top = (await services.diagnostics.hypotheses(starter, waiting.incident))[0]
    assert top.cause is Cause.CONFIGURATION_DRIFT
    assert f"key {broken.key}" in top.statement
    approval = (await services.approvals.page(starter, status=ApprovalStatus.OPEN, after=None, limit=1))[0]
    await services.approvals.submit(approver, approval.id, Choice.APPROVE, reason="back to what passed")
    await until(lambda: is_in(failed, RunStatus.SUCCEEDED), why="the healed run", within=60)

    async def verified():
        return (await services.incidents.get(starter, waiting.incident)).status is Status.VERIFIED

    await until(verified, why="the incident is verified")
    counts = await target.fetch("select step_key, count(*) as rows from effects group by step_key")
    assert sorted(row["rows"] for row in counts) == [1, 1]
