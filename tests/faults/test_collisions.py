"""Transactions that the database refuses because they collided are done again, and nobody outside notices."""

import asyncio
from collections.abc import Awaitable
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.approval import ApprovalStatus, Choice
from domain.base import OrgId
from domain.execution import RunStatus
from domain.identity import Role, SwitchLevel
from domain.incident import Status
from tests.engine import until
from tests.faults import checker
from tests.faults.report import counted
from tests.faults.test_database import a_signal
from tests.pipelines import a_spec, apply

AT_ONCE = 5
COLLIDE = """create function suture.collide() returns trigger language plpgsql security definer as $$ begin
  if random() < 0.1 then
    perform nextval('suture.collisions');
    raise exception 'collided' using errcode = case when random() < 0.5 then '40001' else '40P01' end;
  end if;
  return null;
end $$"""
TRIGGER = """create constraint trigger collide after insert on audit_logs deferrable initially deferred
  for each row when (new.org_id = '{org}') execute function suture.collide()"""


@asynccontextmanager
async def collisions(superuser: AsyncEngine, org: OrgId):
    """One audit entry in ten of this org makes its transaction fail at its commit; yields how many that were."""

    async def counted_so_far():
        async with superuser.connect() as connection:
            last, called = (await connection.execute(text("select last_value, is_called from suture.collisions"))).one()
            return last if called else 0

    await _execute(superuser, "create sequence suture.collisions", COLLIDE, TRIGGER.format(org=org))
    try:
        yield counted_so_far
    finally:
        await _execute(superuser, "drop function suture.collide() cascade", "drop sequence suture.collisions")


async def _execute(superuser: AsyncEngine, *statements: str) -> None:
    async with superuser.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def test_f16_collisions_are_nobodys_error(world, tenant, add_person, superuser, fault):
    """Requests, a whole story of healing and its approval go through while one commit in ten is refused."""
    author = await add_person(tenant, Role.AUTHOR, Role.OPERATOR)
    approver = await add_person(tenant, Role.APPROVER)
    requests, stories = counted(500), counted(20)
    async with collisions(superuser, tenant.org) as so_far:
        outcomes = await _some_at_once(*(_request(world, tenant, author, number) for number in range(requests)))
        healed = await _some_at_once(*(_story(world, author, approver, f"story-{each}") for each in range(stories)))
        collided = await so_far()
    errors = [each for each in outcomes if each is not None] + [each for each in healed if each is not None]
    broken = errors + await checker.stuck(superuser, tenant.org)
    verified = await world.services.audit.verify(tenant.org)
    broken += [f"I5: {verified.fault.message}"] if verified.fault else []
    assert collided >= requests // 20
    fault.note(runs=collided, violations=broken, requests=requests, stories=stories, user_visible_errors=len(errors))


async def _some_at_once(*work: Awaitable[str | None]) -> list[str | None]:
    """A few at a time: a full pool would refuse the others, which is another fault."""
    room = asyncio.Semaphore(AT_ONCE)

    async def within(each: Awaitable[str | None]) -> str | None:
        async with room:
            return await each

    return await asyncio.gather(*(within(each) for each in work))


async def _request(world, tenant, author, number: int) -> str | None:
    """One request of each kind in turn; what it was refused with."""
    services = world.services
    try:
        async with asyncio.timeout(60):
            match number % 5:
                case 0:
                    await services.intake.receive(tenant.admin, [a_signal(f"collision-{number}")])
                case 1:
                    await services.switches.engage(tenant.admin, SwitchLevel.ACTION, "replay_run", "a fault")
                case 2:
                    await apply(services, author, a_spec(name=f"p-{number}", environment="dev"))
                case 3:
                    await services.principals.page(tenant.org)
                    await services.switches.set_automatic(tenant.admin, released=False)
                case 4:
                    await services.switches.release(tenant.admin, SwitchLevel.ACTION, "replay_run", "over")
    except Exception as error:  # noqa: BLE001 - any error is what this test looks for
        return f"{type(error).__name__}: {error}"[:300]
    return None


async def _story(world, author, approver, name):
    """A bad config change is healed; why not, if it is not."""
    services = world.services
    pipeline = await apply(services, author, a_spec(name=name))
    healthy = await services.runs.start(author, pipeline.id)

    async def ended(execution):
        return (await services.runs.get(author, execution.id)).execution.status.is_final

    await until(lambda: ended(healthy), within=60, why="the healthy run ends")
    await services.pipelines.configure(author, pipeline.id, {"column": "valeu"})
    broken = await services.runs.start(author, pipeline.id)

    async def asked():
        found = await services.approvals.page(author, status=ApprovalStatus.OPEN, after=None, limit=50)
        states = [(each, await services.planning.view(author, each.plan)) for each in found]
        return next((each for each, view in states if name in view.state.plan.summary), None)

    await until(asked, within=60, why="an approval is asked for")
    await services.approvals.submit(approver, (await asked()).id, Choice.APPROVE)
    await until(lambda: ended(broken), within=60, why="the healed run ends")
    run = (await services.runs.get(author, broken.id)).execution

    async def closed():
        return (await services.incidents.get(author, run.incident)).status is Status.VERIFIED

    await until(closed, within=60, why="the incident closes")
    return None if (run.status, run.config_version) == (RunStatus.SUCCEEDED, 1) else f"the run ended as {run.status}"
