"""Attacks by text: what cannot be seen, what a shell would run, what a tool would take for an option."""

import json
from functools import partial

import pytest
import pytest_asyncio
from pydantic import ValidationError

from domain.actions import CATALOG
from domain.actions.rollback_config import RollbackConfig
from domain.base import OrgId
from domain.canonical import canonical, digest
from domain.errors import InvalidError
from domain.execution import RunStatus
from domain.identity import Role
from domain.pipeline import PipelineSpec
from domain.plan import Command, Mode
from domain.policy import DryRunFacts, PlanFacts, PreflightFacts, StepFacts, TargetFacts, Tier
from services.decisions import Decisions
from services.ledger import Ledger
from services.planning import Planning
from storage.engine import now
from tests.attacks.case import Case, person
from tests.engine import until
from tests.pipelines import a_spec, apply
from tests.workflows.suggestions import an_incident_at_rest

BIDI, ZERO_WIDTH, ANSI, MARK = "\u202e", "\u200b", "\x1b[2K\r", "\u061c"
HIDING = (BIDI, ZERO_WIDTH, "\x1b", "\r", MARK, "\u2066", "\u2028", "\ufeff", "\U000e0041")
SHELL = ("; rm -rf /", "$(id)", "`id`", "a\nb", "&& id | tee x > y", "'\"\\", "%(x)s {{7*7}} ${jndi:x}")
OPTIONS = ("--kubeconfig=x", "-oProxyCommand=id", "-x", "--")


class Hostile(RollbackConfig):
    """The real remedy, whose steps say what an attacker would like people to read, or not to read."""

    def __init__(self, *, summary="", argument=None):
        self._summary = summary
        self._argument = argument

    def steps(self, situation):
        first, *others = super().steps(situation)
        argv = (*first.do.argv, self._argument) if self._argument else first.do.argv
        hostile = {"summary": first.summary + self._summary, "do": Command(tool=first.do.tool, argv=argv)}
        return (first.model_copy(update=hostile), *others)


@pytest_asyncio.fixture
async def author(client, world, tenant, add_person):
    """Somebody who may write pipelines, by HTTP."""
    return await person(world.services, client, await add_person(tenant, Role.AUTHOR))


@pytest.fixture
def planning(database, world):
    """The planner with another catalogue."""

    def made(action):
        catalog = tuple(action if each.name == action.name else each for each in CATALOG)
        return Planning(database, Ledger(), Decisions(database), world.services.policy, catalog, runner="1")

    return made


async def test_a30_what_hides_is_shown_and_what_is_too_long_is_not_asked(scene, database, client, planning):
    """Whatever a plan holds is in its digest and visible in its diff; a text that nobody reads to its end is refused."""
    run = await an_incident_at_rest(scene)
    plans = len(await scene.plans(run.incident))
    for too_long in (Hostile(argument="x" * 10_000), Hostile(summary="x" * 10_000), Hostile(argument=BIDI)):
        with pytest.raises(InvalidError, match=r"too long|letters"):
            await planning(too_long).propose(scene.operator, run.incident, Mode.SUGGEST, None)
    assert len(await scene.plans(run.incident)) == plans
    hostile = Hostile(summary=f"{ANSI}{BIDI}{ZERO_WIDTH}{MARK}harmless")
    plan = await planning(hostile).propose(scene.operator, run.incident, Mode.SUGGEST, None)
    approval = await scene.approval()
    case = Case(scene=scene, database=database, client=client, plan=plan, approval=approval)
    reader = await case.person(scene.operator)
    shown = (await reader.get(f"/fix/plans/{plan.plan.id.shown}")).json()
    assert "\\u{1b}[2K\\u{d}\\u{202e}\\u{200b}\\u{61c}harmless" in shown["diff"]
    assert not any(letter in shown["diff"] for letter in HIDING)
    assert shown["digest"] == approval.digest == digest(json.loads(canonical(plan.plan)))


@pytest.mark.parametrize("hiding", HIDING)
async def test_a30_a_name_holds_nothing_that_hides(author, hiding):
    """Names of pipelines and stages have letters, digits and dashes."""
    for changed in ({"pipeline": f"or{hiding}ders"}, {"stages": [{"name": f"re{hiding}ad", "run": ["true"]}]}):
        refused = await author.post("/pipelines", {"spec": _spec() | changed})
        assert refused.status_code == 422
        assert hiding not in refused.text


async def test_a31_a_stage_gets_every_word_as_it_is(world, tenant, add_person):
    """Arguments and config reach a stage's process letter by letter: there is no shell on the way."""
    author = await add_person(tenant, Role.AUTHOR, Role.OPERATOR)
    code = {"read.py": "import json, os, sys\nprint(json.dumps([sys.argv[1:], json.load(open(os.environ['SUTURE_CONFIG']))]))"}
    stage = {"name": "read", "run": ["python", "-m", "read", *SHELL, *OPTIONS], "uses": ["column"], "timeout": "20s"}
    spec = PipelineSpec.model_validate(_spec() | {"config": {"column": list(SHELL)}, "stages": [stage]})
    pipeline = await apply(world.services, author, spec, code)
    run = await world.services.runs.start(author, pipeline.id)

    async def ended():
        return (await world.services.runs.get(author, run.id)).execution.status.is_final

    await until(ended, why="the run ends")
    view = await world.services.runs.get(author, run.id)
    assert view.execution.status is RunStatus.SUCCEEDED
    said = json.loads(view.attempts[0].result.head)
    assert said == [[*SHELL, *OPTIONS], {"column": list(SHELL)}]


async def test_a31_a_nul_is_refused(author):
    """No argument and no config value holds one."""
    for changed in (
        {"config": {"column": "a\0b"}},
        {"config": {"column": {"deep": ["\0"]}}},
        {"stages": [{"name": "read", "run": ["python", "a\0b"]}]},
    ):
        assert (await author.post("/pipelines", {"spec": _spec() | changed})).status_code in {400, 422}
        with pytest.raises(ValidationError):
            PipelineSpec.model_validate(_spec() | changed)


@pytest.mark.parametrize("name", ["-oProxyCommand=id", "--kubeconfig=x", "-x", "$(id)", "a;b", "../x"])
async def test_a32_a_name_is_never_an_option(author, name):
    """Neither names of pipelines, stages, environments and secrets, nor ids in a path."""
    for changed in (
        {"pipeline": name},
        {"environment": name},
        {"stages": [{"name": name, "run": ["true"]}]},
        {"stages": [{"name": "read", "run": ["true"], "secrets": [name]}]},
        {"stages": [{"name": "read", "run": ["true"], "uses": [name]}]},
    ):
        assert (await author.post("/pipelines", {"spec": _spec() | changed})).status_code == 422
    for where in ("/fix/plans/", "/incidents/", "/approvals/"):
        assert (await author.get(where + name)).status_code in {404, 422}


@pytest.mark.parametrize("argument", ["--kubeconfig=x", "-oProxyCommand=id", "-x"])
async def test_a32_an_option_no_tool_is_known_for_stops_the_plan(world, database, tenant, argument):
    """The real policy refuses it, and lets the same word pass after `--`, where no tool takes it for an option."""
    asked = partial(_preflight, world, database, tenant.org)
    assert [each.code for each in await asked("restore-config", argument)] == ["PF008"]
    assert await asked("restore-config", "--", argument) == ()


async def _preflight(world, database, org: OrgId, *argv):
    async with database.transaction(org) as session:
        moment = await now(session)
    plan = PlanFacts(
        environment="prod",
        is_production=True,
        action="rollback_config",
        risk="medium",
        reversibility="reversible",
        confidence=0.9,
        steps=1,
        blast_radius=1,
        fidelity="server",
    )
    target = TargetFacts(key="pipeline/x", version="1", found="1")
    dry_run = DryRunFacts(fidelity="server", passed=True)
    step = StepFacts(index=0, tool="pipeline", argv=argv, target=target, dry_run=dry_run)
    return await world.services.policy.preflight(PreflightFacts(plan=plan, steps=(step,), tier=Tier.HUMAN, now=moment))


def _spec():
    return a_spec().model_dump(mode="json")
