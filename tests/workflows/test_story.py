"""The story of one incident on the real engine, database, policy and processes."""

from domain.approval import ApprovalStatus, Choice
from domain.execution import RunStatus
from domain.identity import Role
from domain.incident import Status
from tests.engine import until
from tests.pipelines import a_spec, apply


async def _ended(world, caller, execution) -> bool:
    return (await world.services.runs.get(caller, execution)).execution.status.is_final


async def test_a_bad_config_change_is_rolled_back_after_a_second_person_agrees(world, tenant, add_person):
    """The run fails on v2, waits, resumes on v1 and passes; the incident closes as verified."""
    author = await add_person(tenant, Role.AUTHOR, Role.OPERATOR)
    approver = await add_person(tenant, Role.APPROVER)
    services = world.services
    pipeline = await apply(services, author, a_spec())
    healthy = await services.runs.start(author, pipeline.id)
    await until(lambda: _ended(world, author, healthy.id), why="the healthy run ends")
    assert (await services.runs.get(author, healthy.id)).execution.status is RunStatus.SUCCEEDED

    await services.pipelines.configure(author, pipeline.id, {"column": "valeu"})
    broken = await services.runs.start(author, pipeline.id)

    async def asked():
        return bool(await services.approvals.page(author, status=ApprovalStatus.OPEN, after=None, limit=10))

    await until(asked, why="an approval is asked for")
    approval = (await services.approvals.page(author, status=ApprovalStatus.OPEN, after=None, limit=10))[0]
    submitted = await services.approvals.submit(approver, approval.id, Choice.APPROVE, reason="looks right")
    assert submitted.settled
    await until(lambda: _ended(world, author, broken.id), why="the healed run ends")
    run = (await services.runs.get(author, broken.id)).execution
    assert (run.status, run.config_version) == (RunStatus.SUCCEEDED, 1)

    async def closed():
        return (await services.incidents.get(author, run.incident)).status is Status.VERIFIED

    await until(closed, why="the incident closes")
