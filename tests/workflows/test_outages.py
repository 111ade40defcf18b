"""The database is away for longer than a few tries take: what only asks again loses nothing and gives nothing up."""

from contextlib import asynccontextmanager

from sqlalchemy import text

from domain.execution import RunStatus
from domain.identity import SwitchLevel
from domain.incident import Status
from domain.plan import PlanStatus
from storage import switches
from tests.engine import until

_AWAY = """
create function suture.away() returns trigger language plpgsql as $$
begin raise 'the database is shutting down' using errcode = '57P01'; end $$"""


@asynccontextmanager
async def away_for(superuser, org, table):
    """Within the block the database ends whatever writes a row of `org` to `table`, as one does that is restarted."""
    when = f"create trigger away before insert or update on {table} for each row when (new.org_id = '{org}')"
    async with superuser.begin() as connection:
        await connection.execute(text(_AWAY))
        await connection.execute(text(f"{when} execute function suture.away()"))
    try:
        yield
    finally:
        async with superuser.begin() as connection:
            await connection.execute(text("drop function suture.away() cascade"))


async def _until_tried(handle, activity, *, times):
    """The engine has heard of so many failed tries."""

    async def tried() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        attempts = sum(each.attempt for each in pending if each.activity_type.name == activity)
        events = (await handle.fetch_history()).events
        named = sum(each.activity_task_scheduled_event_attributes.activity_type.name == activity for each in events)
        return max(attempts, named) > times

    await until(tried, why=f"{activity} has failed {times} times", within=40)


async def test_an_outage_longer_than_three_tries_ends_no_remediation(scene, superuser):
    """The step is asked for until the database answers; nobody's kill switch is thrown and the run is healed."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    async with away_for(superuser, scene.tenant.org, "commands"):
        await scene.decide(approval)
        await scene.until_told(run.incident, "remediation.prepared")
        await _until_tried(scene.remediation_of((await scene.plans(run.incident))[0]), "run_step", times=4)
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    await scene.until_incident(run.incident, Status.VERIFIED)
    assert (await scene.plans(run.incident))[0].status is PlanStatus.VERIFIED
    assert (await scene.actions(run.incident)).count("step.do_done") == 2
    async with scene.world.database.transaction(scene.tenant.org) as session:
        assert await switches.get(session, SwitchLevel.WORKFLOW, "orders") is None
