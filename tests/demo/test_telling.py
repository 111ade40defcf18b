"""The story of `make demo` on another series and another pipeline: nothing in the product or in the story knows the first."""

import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from demo.files import Material, read
from demo.story import Place, tell
from demo.target import Server
from domain.pipeline import PipelineSpec
from stack import ports
from stack.child import ChildSpec
from stack.supervise import Supervisor
from tests.engine import ROOT
from tests.faults.test_killed_api import serving
from tests.faults.workers import Workers

CPU_LOAD = ROOT / "tests" / "fixtures" / "cpu_load"
SEED = 20_261_121
READY_WITHIN = timedelta(seconds=60)
PROBED = {
    "effect": "probe",
    "probe": ["python", "-m", "jobs.store", "--probe"],
    "dry_run": True,
    "secrets_dry_run": ["hours_dsn_readonly"],
}
"""The stage that stores takes its key, and can be probed as well; the story is about the latter."""


@pytest.fixture
def folder():
    """One that the stages' own account can enter."""
    made = Path(tempfile.mkdtemp(prefix="suture-telling-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
async def environment(superuser, tenant):
    """A production environment that no worker of the tests serves: what runs there may be killed."""
    name = f"t-{uuid4().hex[:12]}"
    async with superuser.begin() as connection:
        adding = text("insert into environments (org_id, name, is_production) values (:org, :name, true)")
        await connection.execute(adding, {"org": tenant.org, "name": name})
    return name


@pytest.fixture
async def workers(world, environment, folder):
    """Two worker processes of that environment, each started again when it is killed; yields how their pids are seen."""
    supervisor = Supervisor(folder / "logs", report=lambda _: None)
    await supervisor.open()
    names = ("execute-1", "execute-2")
    shared = Workers(world.settings, folder).environment()
    shared |= {"SUTURE_QUEUES": f"execute-{environment}", "SUTURE_STAGE_PYTHON": str(world.settings.stage_python)}
    try:
        for name in names:
            ready = folder / f"{name}.ready"
            own = shared | {"SUTURE_READY_FILE": str(ready)}
            spec = ChildSpec(name=name, argv=(sys.executable, "-m", "worker"), env=own, cwd=ROOT, ready_within=READY_WITHIN)
            await supervisor.run(spec, ready=_exists(ready))
        yield lambda: tuple(pid for name in names if (pid := supervisor.pid(name)) is not None)
    finally:
        await supervisor.close()


async def test_the_whole_story_on_another_series_and_another_pipeline(world, tenant, postgres, environment, workers, folder):
    """All five chapters go as `make demo` tells them, through the public API, with no effect that nobody can explain."""
    said: list[str] = []
    port = ports.choose(0)[0]
    async with serving(Workers(world.settings, folder), folder, port, world.settings.database_url.get_secret_value()):
        told = await tell(
            _place(postgres, f"http://127.0.0.1:{port}", tenant.token, folder),
            _probed(environment),
            read(CPU_LOAD / "pipeline-dev.yaml"),
            seed=SEED,
            workers=workers,
            say=said.append,
            material=Material(code=CPU_LOAD / "src", tables=CPU_LOAD / "target.sql"),
        )
    assert told.differences == (), "\n".join(said)
    assert told.line.startswith("demo: 5 of 5 stories as expected, 0 unexplained effects, audit chain ok (")
    assert told.is_good


def _probed(environment: str) -> PipelineSpec:
    spec = read(CPU_LOAD / "pipeline.yaml").model_dump()
    stages = [{**each, **PROBED} if each["name"] == "store" else each for each in spec["stages"]]
    return PipelineSpec.model_validate({**spec, "stages": stages, "environment": environment})


def _place(postgres, api_url: str, token: str, folder: Path) -> Place:
    server = Server(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        password=postgres.password.get_secret_value(),
        database="suture_tests",
    )
    return Place(api_url=api_url, admin_token=token, server=server, holds=folder / "holds")


def _exists(path: Path):
    async def look() -> bool:
        return path.exists()

    return look
