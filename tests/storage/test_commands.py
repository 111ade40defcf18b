"""What the database itself refuses to let a remediation note down as its intent."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage.engine import sqlstate

ENVIRONMENTS = text("""
insert into environments (org_id, name, is_production) values (:org, 'sandbox', false), (:org, 'live', true)""")
PLAN = text("""
with incident as (
  insert into incidents (org_id, signature, title, service, environment, severity, status, carrier)
  values (:org, :salt, 'x', 'orders', :environment, 'sev3', 'open', :salt) returning id)
insert into fix_plans (org_id, id, incident_id, digest, summary, action, environment, is_production, mode, risk_score, content,
  steps, rollback, status, carrier)
select :org, :plan, id, :salt, 'x', 'retry_stage', :environment, :production, 'auto', 0.1, '{}', '[]', '[]', 'executing', :salt
from incident""")
COMMAND = text("""
insert into commands (org_id, id, plan_id, step, kind, key, tool, script, environment, target, remediation)
values (:org, uuidv7(), :plan, 0, :kind, uuidv7()::text, 'pipeline', 'x', :labelled, 'orders', 'remediation')""")
PROMOTED = text("update environments set is_production = true where org_id = :org and name = 'sandbox'")


@pytest.fixture
async def sites(superuser, org):
    """An environment that is production, and one that is not."""
    async with superuser.begin() as connection:
        await connection.execute(ENVIRONMENTS, {"org": org})


@pytest.fixture
def planned(database, org, sites):
    """Stores a plan for an environment, as the application."""

    async def plan(environment, *, production):
        made = uuid4()
        async with database.transaction(org) as session:
            given = {"org": org, "plan": made, "salt": made.hex, "environment": environment, "production": production}
            await session.execute(PLAN, given)
        return made

    return plan


@pytest.fixture
def command(database, org):
    """Notes the intent of a command without a grant, as the application; the state that the database answers with."""

    async def note(plan, kind, *, labelled):
        try:
            async with database.transaction(org) as session:
                await session.execute(COMMAND, {"org": org, "plan": plan, "kind": kind, "labelled": labelled})
        except DBAPIError as error:
            return sqlstate(error)
        return "stored"

    return note


@pytest.mark.parametrize("kind", ["do", "undo"])
@pytest.mark.parametrize("labelled", ["live", "sandbox", "nowhere"])
async def test_a_command_of_a_production_plan_needs_a_grant_whatever_it_is_labelled(planned, command, kind, labelled):
    """The plan decides where it acts; the environment that the command itself names does not."""
    plan = await planned("live", production=True)
    assert await command(plan, kind, labelled=labelled) == "23514"


async def test_a_command_elsewhere_needs_none(planned, command):
    """Where the plan says that it is not production, and its environment does, the database asks for no grant."""
    plan = await planned("sandbox", production=False)
    assert await command(plan, "do", labelled="sandbox") == "stored"


async def test_a_rehearsal_needs_none(planned, command):
    """A dry-run has no effect."""
    assert await command(await planned("live", production=True), "dry_run", labelled="live") == "stored"


async def test_what_is_unknown_is_production(planned, command):
    """A plan that is not there, and one that names an environment that is not, need a grant."""
    assert await command(uuid4(), "do", labelled="sandbox") == "23514"
    assert await command(await planned("nowhere", production=False), "do", labelled="sandbox") == "23514"


async def test_an_environment_that_has_become_production_counts(planned, command, superuser, org):
    """A plan made before that needs a grant from then on."""
    plan = await planned("sandbox", production=False)
    async with superuser.begin() as connection:
        await connection.execute(PROMOTED, {"org": org})
    assert await command(plan, "undo", labelled="sandbox") == "23514"
