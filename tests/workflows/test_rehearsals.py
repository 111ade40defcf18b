"""Dry-runs: nothing runs under a switch, and one that changed something is an incident of its own."""

import shutil
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio

from domain.execution import RunStatus
from domain.identity import Role, SwitchLevel
from domain.incident import Status
from domain.pipeline import PipelineSpec
from domain.plan import Mode
from domain.preflight import Fidelity
from tests.engine import until
from tests.pipelines import apply
from tests.workflows.suggestions import an_incident_at_rest

LOAD = """
    import json, os, pathlib, sys
    config = json.loads(pathlib.Path(os.environ["SUTURE_CONFIG"]).read_text())
    mark = pathlib.Path(config["folder"], "mark")
    if "--probe" in sys.argv:
        sys.exit(int(config["unknown"]) or (0 if mark.exists() else 3))
    if config["column"] != "value":
        sys.exit(f"column '{config['column']}' not found")
    mark.touch()
"""


@pytest_asyncio.fixture
async def careless(world, tenant, add_person):
    """A stage that loads for good even when it is only tried; its second version fails."""
    folder = Path(tempfile.mkdtemp(prefix="suture-careless-"))
    folder.chmod(0o777)
    author = await add_person(tenant, Role.AUTHOR, Role.OPERATOR)

    async def tried(*, unknown: int):
        """The plan for its failed run, once its preflight is done."""
        config = {"column": "value", "folder": str(folder), "unknown": unknown}
        spec = PipelineSpec.model_validate(
            {
                "pipeline": "careless",
                "environment": "prod",
                "owner": "data-platform",
                "code": "./src",
                "config": config,
                "stages": [
                    {
                        "name": "load",
                        "run": ["python", "-m", "load"],
                        "uses": list(config),
                        "timeout": "20s",
                        "effect": "probe",
                        "probe": ["python", "-m", "load", "--probe"],
                        "dry_run": True,
                    }
                ],
            }
        )
        pipeline = await apply(world.services, author, spec, {"load.py": LOAD})
        await _ended(world, author, pipeline, RunStatus.SUCCEEDED)
        (folder / "mark").unlink()
        await world.services.pipelines.configure(author, pipeline.id, config | {"column": "valeu"})
        run = await _ended(world, author, pipeline, RunStatus.WAITING)
        return run, await _preflight(world, author, run.incident)

    yield tried
    shutil.rmtree(folder, ignore_errors=True)


async def _ended(world, author, pipeline, status):
    started = await world.services.runs.start(author, pipeline.id)

    async def is_so() -> bool:
        return (await world.services.runs.get(author, started.id)).execution.status is status

    await until(is_so, why=f"the run becomes {status}")
    return (await world.services.runs.get(author, started.id)).execution


async def _preflight(world, author, incident):
    async def is_done() -> bool:
        made = await world.services.planning.of_incident(author, incident)
        return bool(made) and (await world.services.planning.view(author, made[0].plan.id)).preflight is not None

    await until(is_done, why="the plan is preflighted")
    (made, *_) = await world.services.planning.of_incident(author, incident)
    return (await world.services.planning.view(author, made.plan.id)).preflight


async def test_a_dry_run_that_changes_its_target_is_an_incident_of_its_own(world, tenant, careless):
    """The probe says one thing before and another after: the plan is blocked, and people hear of the stage itself."""
    run, preflight = await careless(unknown=0)
    (_, resumed) = preflight.dry_runs
    assert not preflight.passed
    assert resumed.output == "the dry-run of load changed its target: the probe said not_done, then done"
    found = await world.services.incidents.page(tenant.admin, status=None, service="careless", after=None, limit=10)
    assert {each.title for each in found if each.id != run.incident} == {"careless: stage load failed (dry_run_changed_target)"}


async def test_a_probe_that_cannot_tell_proves_nothing(careless):
    """Without an answer before and after, the dry-run counts as none, which raises what people are asked for."""
    _, preflight = await careless(unknown=9)
    (_, resumed) = preflight.dry_runs
    assert (resumed.passed, resumed.fidelity) == (True, Fidelity.NONE)
    assert "the probe of load could not say" in resumed.output


@pytest.mark.parametrize(("level", "subject"), [(SwitchLevel.ORG, "*"), (SwitchLevel.WORKFLOW, "orders")])
async def test_under_a_switch_nothing_is_tried(scene, level, subject):
    """A dry-run runs code on a target too: it does not begin, and the plan is blocked."""
    run = await an_incident_at_rest(scene)
    await scene.services.switches.engage(scene.tenant.admin, level, subject, "something is wrong")
    plan = await scene.services.planning.propose(scene.operator, run.incident, Mode.AUTO, None)
    assert await scene.carried(plan) == Status.BLOCKED
    preflight = (await scene.services.planning.view(scene.author, plan.plan.id)).preflight
    assert preflight.dry_runs[-1].output.startswith("read was not tried: the kill switch")
