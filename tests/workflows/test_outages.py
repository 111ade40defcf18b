"""The database is away for longer than a few tries take: what only asks again loses nothing and gives nothing up."""

from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from domain.execution import RunStatus
from domain.identity import SwitchLevel
from domain.incident import Status
from domain.plan import PlanStatus
from storage import switches
from tests.engine import until

_AWAY = """
create function suture.away() returns trigger language plpgsql as $$
begin raise 'not now' using errcode = '{errcode}'; end $$"""
_SHUTDOWN = "57P01"


@asynccontextmanager
async def away_for(superuser, org, table, *, errcode=_SHUTDOWN):
    """Within the block the database ends whatever writes a row of `org` to `table`, as one does that is restarted."""
    when = f"create trigger away before insert or update on {table} for each row when (new.org_id = '{org}')"
    async with superuser.begin() as connection:
        await connection.execute(text(_AWAY.format(errcode=errcode)))
        await connection.execute(text(f"{when} execute function suture.away()"))
    try:
        yield
    finally:
        async with superuser.begin() as connection:
            await connection.execute(text("drop function suture.away() cascade"))


async def _asked(handle, activity):
    """How often the workflow has asked for it."""
    asked = [event.activity_task_scheduled_event_attributes for event in (await handle.fetch_history()).events]
    return sum(each.activity_type.name == activity for each in asked)


async def _until_tried(handle, activity, *, times):
    async def tried():
        return await _asked(handle, activity) > times

    await until(tried, why=f"{activity} has been asked for more than {times} times", within=40)


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


@pytest.mark.parametrize(("activity", "table"), [("diagnose", "hypotheses"), ("rehearse", "commands")])
async def test_an_outage_longer_than_three_tries_ends_no_story(scene, superuser, activity, table):
    """The diagnosis, or the rehearsal, is asked for until the database answers; then the story goes on to ask people."""
    async with away_for(superuser, scene.tenant.org, table):
        run = await scene.break_and_run()
        await _until_tried(await scene.story_of(run.incident), activity, times=4)
    await scene.decide(await scene.approval())
    await scene.until_incident(run.incident, Status.VERIFIED)


async def test_a_bug_in_a_diagnosis_ends_after_three_tries(scene, superuser):
    """What is no outage is no reason to wait: a person looks at once."""
    async with away_for(superuser, scene.tenant.org, "hypotheses", errcode="22012"):
        run = await scene.break_and_run()
        await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    assert await _asked(await scene.story_of(run.incident), "diagnose") == 3
