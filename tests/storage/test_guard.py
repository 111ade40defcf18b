"""What stops a request or an effect, and who may stop and release."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from domain.actions import STOPPABLE
from domain.base import OrgId
from domain.errors import (
    ForbiddenError,
    HealError,
    InvalidError,
    NotFoundError,
    QuotaExceededError,
    StoppedError,
)
from domain.identity import Kind, Quota, Role, SwitchLevel, SwitchScope
from services.guard import Guard
from services.stages import Job
from services.switches import Switches
from storage.engine import now

SCOPE = SwitchScope(workflow="ad-cost", action="retry_stage")


@pytest.fixture
def guard():
    return Guard(region="local", defaults={"signals": 100})


@pytest.fixture
def switches(database, ledger):
    return Switches(database, ledger)


@pytest.fixture
async def workflow(database, org):
    """A workflow called as in the scope."""
    async with database.transaction(org) as session:
        return await session.scalar(
            text("insert into workflows (org_id, name) values (:org, 'ad-cost') returning id"), {"org": org}
        )


@pytest.fixture
def act(database, guard, org):
    async def ask(scope=SCOPE):
        async with database.transaction(org) as session:
            await guard.check_may_act(session, org, scope)

    return ask


async def test_everything_boots_released(act, workflow):
    """Until somebody engages a switch, effects may happen."""
    await act()


@pytest.mark.parametrize(
    ("level", "subject"),
    [
        (SwitchLevel.ORG, "*"),
        (SwitchLevel.WORKFLOW, "ad-cost"),
        (SwitchLevel.ACTION, "retry_stage"),
    ],
)
async def test_an_engaged_switch_stops_every_effect_under_it(switches, tenant, workflow, act, database, level, subject):
    """The refusal names level and reason; the workflows are told by the outbox; released, effects happen again."""
    await switches.engage(tenant.admin, level, subject, "disk full")
    with pytest.raises(StoppedError, match=f"{level} .* is engaged: disk full"):
        await act()
    async with database.transaction(tenant.org) as session:
        letters = (await session.execute(text("select kind, payload from outbox"))).all()
    assert letters == [("stopped", {"level": level, "subject": subject})]
    await switches.release(tenant.admin, level, subject, "mended")
    await act()


async def test_a_switch_over_something_else_stops_nothing(switches, tenant, workflow, act):
    """A switch of another action does not count here."""
    await switches.engage(tenant.admin, SwitchLevel.ACTION, "rollback_config", "careful")
    await act()


@pytest.mark.parametrize("action", sorted(STOPPABLE))
async def test_every_action_that_a_switch_may_name_is_stopped_by_it(switches, tenant, act, action):
    """Each remedy of the catalogue, and the start of a stage."""
    await switches.engage(tenant.admin, SwitchLevel.ACTION, action, "careful")
    with pytest.raises(StoppedError, match=f"action {action} is engaged"):
        await act(SwitchScope(workflow="ad-cost", action=action))


def test_a_stage_starts_under_an_action_that_can_be_stopped():
    """What the pools that execute ask the guard about is an action that a switch may name."""
    version = SimpleNamespace(spec=SimpleNamespace(pipeline="ad-cost"))
    assert Job.scope.fget(SimpleNamespace(version=version)).action in STOPPABLE


async def test_a_workflow_is_stopped_by_name_and_by_id(switches, tenant, workflow, act):
    """Whichever way the scope and the switch name it."""
    await switches.engage(tenant.admin, SwitchLevel.WORKFLOW, str(workflow), "careful")
    for named in ("ad-cost", str(workflow)):
        with pytest.raises(StoppedError):
            await act(SCOPE.model_copy(update={"workflow": named}))


@pytest.mark.parametrize(("level", "subject"), [(SwitchLevel.GLOBAL, "*"), (SwitchLevel.REGION, "local")])
async def test_the_platforms_switches_stop_every_org(platform, act, level, subject):
    """Global and region are engaged on the platform's machine."""
    await platform.engage(level, subject, "fire")
    try:
        with pytest.raises(StoppedError, match="fire"):
            await act()
    finally:
        await platform.release(level, subject, "out")
    await act()


async def test_an_org_that_is_not_active_does_not_act(act, superuser, org):
    """Whoever is switched off stops before the next effect, not only at the door."""
    async with superuser.begin() as connection:
        await connection.execute(text("update orgs set is_active = false where id = :org"), {"org": org})
    with pytest.raises(StoppedError, match="not active"):
        await act()


async def test_code_of_a_second_org_runs_only_where_stages_have_users_of_their_own(database, superuser, org):
    """A worker that root did not start runs the pipelines of the installation's first org alone."""
    together, apart = Guard(region="local", keeps_orgs_apart=False), Guard(region="local")
    async with database.transaction(org) as session:
        await together.check_may_run_code(session, org)
    async with superuser.begin() as connection:
        await connection.execute(text("update orgs set is_first = false where id = :org"), {"org": org})
    async with database.transaction(org) as session:
        await apart.check_may_run_code(session, org)
        with pytest.raises(ForbiddenError, match="first org alone"):
            await together.check_may_run_code(session, org)


async def test_another_region_does_not_count(platform, act):
    """A region's switch stops that region alone."""
    await platform.engage(SwitchLevel.REGION, "elsewhere", "flood")
    await act()


async def test_a_switch_that_cannot_be_read_counts_as_engaged(database, org):
    """No row of the region, or of the org: nothing acts."""
    async with database.transaction(org) as session:
        with pytest.raises(StoppedError, match="region cannot be read"):
            await Guard(region="unknown").check_may_act(session, org, SCOPE)
    async with database.transaction(OrgId(int=1)) as session:
        with pytest.raises(StoppedError, match="org cannot be read"):
            await Guard(region="local").check_may_act(session, OrgId(int=1), SCOPE)


async def test_engaging_waits_for_the_effect_that_has_begun(database, guard, switches, tenant, workflow):
    """Between the check and the end of its transaction nobody engages a switch that exists."""
    async with database.transaction(tenant.org) as session:
        await guard.check_may_act(session, tenant.org, SCOPE)
        engaging = asyncio.create_task(switches.engage(tenant.admin, SwitchLevel.ORG, "*", "stop"))
        waiting = text("select count(*) from pg_locks where not granted")
        while not await session.scalar(waiting):
            await asyncio.sleep(0)
        assert not engaging.done()
    assert (await engaging).is_active


async def test_the_named_workflow_must_exist_and_be_active(database, guard, switches, tenant, workflow):
    """Unknown is not found; stopped or inactive is refused."""
    async with database.transaction(tenant.org) as session:
        assert await guard.check_workflow(session, tenant.org, "ad-cost") == workflow
        with pytest.raises(NotFoundError):
            await guard.check_workflow(session, tenant.org, "unknown")
    await switches.engage(tenant.admin, SwitchLevel.WORKFLOW, "ad-cost", "stop")
    async with database.transaction(tenant.org) as session:
        with pytest.raises(StoppedError):
            await guard.check_workflow(session, tenant.org, "ad-cost")
        await session.execute(text("update workflows set is_active = false"))
        with pytest.raises(StoppedError, match="not active"):
            await guard.check_workflow(session, tenant.org, "ad-cost")


async def test_an_inactive_org_may_do_nothing(database, guard, platform, tenant):
    """Once deactivated, it is refused."""
    async with database.transaction(tenant.org) as session:
        await guard.check_org_active(session, tenant.org)
    name = (await platform.orgs(after=OrgId(int=tenant.org.int - 1), limit=1))[0].name
    await platform.set_org_active(name, is_active=False, reason="gone")
    async with database.transaction(tenant.org) as session:
        with pytest.raises(ForbiddenError):
            await guard.check_org_active(session, tenant.org)


async def test_whether_a_quota_has_room_is_told_without_counting_or_waiting(database, guard, switches, tenant, shift):
    """By what was committed: whoever counts at the moment is not waited for."""
    org = tenant.org
    await switches.put_quota(tenant.admin, Quota(name="signals", per_minute=100))
    async with database.transaction(org) as session:
        moment = await now(session)
    await shift(org, timedelta(seconds=60 - moment.second))  # a whole minute lies ahead
    async with database.transaction(org) as session:
        with pytest.raises(QuotaExceededError, match="would be 101"):
            await guard.check_quota(session, "signals", 101)
        await guard.check_quota(session, "signals", 100)
        await guard.spend_quota(session, org, "signals", 60)
    async with database.transaction(org) as session, database.transaction(org) as counting:
        await guard.spend_quota(counting, org, "signals", 40)
        await guard.check_quota(session, "signals", 40)
        with pytest.raises(QuotaExceededError, match="would be 101"):
            await guard.check_quota(session, "signals", 41)
    async with database.transaction(org) as session:
        with pytest.raises(QuotaExceededError):
            await guard.check_quota(session, "signals", 1)


async def test_a_quota_counts_per_minute_of_the_database(database, guard, switches, tenant, shift):
    """What is over is refused and not counted; the next minute starts from nothing."""
    await switches.put_quota(tenant.admin, Quota(name="signals", per_minute=10))

    async def spend(amount):
        async with database.transaction(tenant.org) as session:
            await guard.spend_quota(session, tenant.org, "signals", amount)

    async with database.transaction(tenant.org) as session:
        moment = await now(session)
    await shift(tenant.org, timedelta(seconds=60 - moment.second))  # a whole minute lies ahead
    await spend(10)
    await shift(tenant.org, timedelta(minutes=1))
    await spend(8)
    with pytest.raises(QuotaExceededError, match=r"signals is 10 per minute and would be 11; try again in \d+ s"):
        await spend(3)
    await spend(2)


async def test_a_quota_of_nothing_lets_nothing_through(database, guard, switches, tenant):
    """Zero is a quota."""
    await switches.put_quota(tenant.admin, Quota(name="signals", per_minute=0))
    async with database.transaction(tenant.org) as session:
        with pytest.raises(QuotaExceededError):
            await guard.spend_quota(session, tenant.org, "signals", 1)


async def test_without_a_row_the_default_counts(database, tenant):
    """Names without a default do not exist."""
    guard = Guard(region="local", defaults={"exports": 2})
    async with database.transaction(tenant.org) as session:
        await guard.spend_quota(session, tenant.org, "exports", 2)
        with pytest.raises(QuotaExceededError):
            await guard.spend_quota(session, tenant.org, "exports", 1)
        with pytest.raises(NotFoundError):
            await guard.spend_quota(session, tenant.org, "nonsense", 1)


async def test_everyone_but_a_viewer_stops_and_only_an_admin_releases(switches, tenant, add_person):
    """A service account may engage; releasing is for persons."""
    viewer, author = await add_person(tenant, Role.VIEWER), await add_person(tenant, Role.AUTHOR)
    robot = await add_person(tenant, Role.ADMIN, kind=Kind.SERVICE)
    with pytest.raises(ForbiddenError):
        await switches.engage(viewer, SwitchLevel.ORG, "*", "stop")
    for caller in (author, robot):
        await switches.engage(caller, SwitchLevel.ORG, "*", "stop")
        with pytest.raises(ForbiddenError):
            await switches.release(caller, SwitchLevel.ORG, "*", "go")
    assert not (await switches.release(tenant.admin, SwitchLevel.ORG, "*", "go")).is_active


@pytest.mark.parametrize(
    ("level", "subject", "reason", "refusal"),
    [
        (SwitchLevel.GLOBAL, "*", "stop", ForbiddenError),
        (SwitchLevel.REGION, "local", "stop", ForbiddenError),
        (SwitchLevel.ORG, "another", "stop", InvalidError),
        (SwitchLevel.WORKFLOW, "unknown", "stop", NotFoundError),
        (SwitchLevel.ACTION, "", "stop", InvalidError),
        (SwitchLevel.ACTION, "*", "stop", InvalidError),
        (SwitchLevel.ACTION, "rollback", "stop", InvalidError),
        (SwitchLevel.VENDOR, "acme", "stop", InvalidError),
        (SwitchLevel.ACTION, "a" * 256, "stop", InvalidError),
        (SwitchLevel.ORG, "*", " ", InvalidError),
    ],
)
async def test_a_switch_over_nothing_is_refused(switches, tenant, level, subject, reason, refusal):
    """A switch that would stop nothing, or is not the org's, is not engaged: it would only look like safety."""
    before = await switches.page(tenant.org)
    with pytest.raises(refusal):
        await switches.engage(tenant.admin, level, subject, reason)
    assert await switches.page(tenant.org) == before


async def test_the_automatic_mode_boots_held(switches, tenant, add_person):
    """A person who operates releases it; anybody but a viewer holds it."""
    assert not (await switches.org(tenant.org)).automatic_released
    approver, viewer = await add_person(tenant, Role.APPROVER), await add_person(tenant, Role.VIEWER)
    robot = await add_person(tenant, Role.OPERATOR, kind=Kind.SERVICE)
    for caller in (approver, viewer, robot):
        with pytest.raises(ForbiddenError):
            await switches.set_automatic(caller, released=True)
    assert (await switches.set_automatic(tenant.admin, released=True)).automatic_released
    with pytest.raises(HealError):
        await switches.set_automatic(viewer, released=False)
    assert not (await switches.set_automatic(robot, released=False)).automatic_released


async def test_the_list_shows_the_platforms_switches_too(switches, tenant):
    """People see every switch that may stop them."""
    levels = [switch.level for switch in await switches.page(tenant.org)]
    assert {SwitchLevel.GLOBAL, SwitchLevel.REGION} < set(levels)
    assert levels[-1] is SwitchLevel.ORG
