"""The production-like shape holds together: what it runs exists, what it sets is known, what must be served is."""

import asyncio
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands.tools import publish
from settings import Settings
from stack.application import Wanted
from stack.ports import choose
from stack.probe import is_well
from stack.tools import RECIPES, Tool, find
from storage.admin import ROLES
from tests.architecture.sources import ROOT, module_exists
from tests.engine import search, search_attributes, until
from workflows.registry import WORKFLOWS

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == COMPOSE["x-app"]["image"]}
WORKERS = {name: each for name, each in OURS.items() if each.get("command") == ["python", "-m", "worker"]}
QUEUES = {*WORKFLOWS, "io", "inference", *(f"execute-{each}" for each in Wanted().environments)}
SECRET = re.compile(r"password|secret|token|_pwd|_key", re.IGNORECASE)


@pytest.fixture(scope="module")
def env_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The env files as `make secrets` writes them."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets", folder], check=True, timeout=30, capture_output=True)
    return folder


def assignments(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def mounted(service: dict[str, Any]) -> list[Path]:
    """The files and folders of the project that a service gets to see."""
    words = (word for word in service.get("volumes", ()) if word.startswith("./"))
    return [ROOT / word.split(":")[0] for word in words]


@pytest.mark.parametrize("name", OURS)
def test_each_command_of_ours_exists(name: str) -> None:
    """A service of ours runs a module that the project holds."""
    program, option, module, *_ = OURS[name]["command"]

    assert (program, option) == ("python", "-m")
    assert module_exists(module)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_sees_of_the_project_exists(name: str) -> None:
    """Mounted files exist, and a mounted script that is run parses."""
    service = SERVICES[name]
    scripts = [file for place in mounted(service) for file in (place, *place.glob("*")) if file.suffix == ".sh"]

    assert all(place.exists() for place in mounted(service))
    assert [file for file in scripts if subprocess.run(["sh", "-n", file], check=False, timeout=10).returncode] == []
    assert service.get("entrypoint", ["", ""])[1] in {"", *(f"/deploy/{file.name}" for file in scripts)}


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_known_setting(name: str) -> None:
    """No service of ours sets a variable that nobody reads."""
    assert set(OURS[name].get("environment", {})) <= Settings.settings_names()


def test_the_values_are_good_settings() -> None:
    """Every service's variables are settings that a process would accept."""
    for name, each in OURS.items():
        values = {key.removeprefix("SUTURE_").lower(): value for key, value in each.get("environment", {}).items()}
        assert Settings.model_validate(values), name


def test_every_queue_is_served_by_one_pool_of_its_own() -> None:
    """Each task queue that has work has a service, and no service has two."""
    served = [each["environment"]["SUTURE_QUEUES"] for each in WORKERS.values()]

    assert sorted(served) == sorted(QUEUES)


def test_only_pools_that_execute_reach_targets() -> None:
    """The network of targets, and the capabilities to start stages, belong to the pools that execute."""
    executing = {name for name in WORKERS if name.startswith("worker-execute-")}

    assert {name for name, each in SERVICES.items() if "targets" in each.get("networks", ())} == executing
    assert {name for name, each in SERVICES.items() if "cap_add" in each} == executing


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback(name: str) -> None:
    """Nothing listens for other machines."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@pytest.mark.parametrize("name", ["api", *WORKERS])
def test_metrics_are_shown_to_the_network_inside(name: str) -> None:
    """A Prometheus beside the containers reaches each page, and nobody else does."""
    given, published = OURS[name]["environment"], OURS[name].get("ports", ())
    shown = {given["SUTURE_METRICS_PORT"], given["SUTURE_WORKER_METRICS_PORT"]}

    assert (given["SUTURE_METRICS_HOST"], len(shown - {"0"})) == ("0.0.0.0", 2)  # noqa: S104
    assert [port for port in published if port.rpartition(":")[2] in shown] == []


def test_no_secret_stands_in_the_file() -> None:
    """Whatever is secret comes from an env file."""
    named = [key for each in SERVICES.values() for key in each.get("environment", {}) if SECRET.search(key)]

    assert named == []
    assert re.search(r"//[^\s/@]+:[^\s/@]+@", (ROOT / "docker-compose.yml").read_text()) is None


def test_env_files_are_written_for_every_service(env_files: Path) -> None:
    """`make secrets` writes each env file that is asked for, readable by its owner alone."""
    wanted = {Path(file).name for each in SERVICES.values() for file in each.get("env_file", ())}
    written = {file.name: stat.S_IMODE(file.stat().st_mode) for file in env_files.iterdir()}

    assert written == dict.fromkeys(wanted, 0o600)


def test_env_files_hold_known_settings_and_every_role(env_files: Path) -> None:
    """Each database role has a password of its own, and each of our variables is a setting."""
    ours = {key: value for file in env_files.iterdir() for key, value in assignments(file).items() if key.startswith("SUTURE_")}
    users = {re.split(r"//|:", value)[2]: value for value in ours.values()}

    assert set(ours) <= Settings.settings_names()
    assert set(users) == {"postgres", *ROLES}
    assert len({re.split(r"[:@]", value)[2] for value in ours.values()}) == len(ours)


def test_passwords_are_written_once(env_files: Path) -> None:
    """Asked again, `make secrets` leaves what is there."""
    before = {file.name: file.read_text() for file in env_files.iterdir()}
    subprocess.run([ROOT / "deploy" / "make-secrets", env_files], check=True, timeout=30, capture_output=True)

    assert {file.name: file.read_text() for file in env_files.iterdir()} == before


def test_a_worker_gets_no_more_roles_than_it_needs() -> None:
    """Only provisioning has the owner's and the platform's credentials; only `io` has the relay's and upkeep's."""
    holders = {file: {name for name, each in SERVICES.items() if f"deploy/secrets/{file}.env" in each.get("env_file", ())}
               for file in ("provision", "io", "upkeep", "postgres")}  # fmt: skip

    assert holders == {
        "provision": {"provision"},
        "io": {"provision", "worker-io"},
        "upkeep": {"provision", "worker-io"},
        "postgres": {"postgres"},
    }


async def test_a_server_takes_the_published_bundle(tmp_path: Path) -> None:
    """What the job `policies` writes is all that the server needs, and the signing key is not among it."""
    (tmp_path / "policies").mkdir()
    revision = await publish(tmp_path / "policies", private=tmp_path / "private", tools=search())
    opa = (await find(Tool.OPA, search(), lambda _: None)).path
    port = choose(0)[0]
    words = [word.replace("0.0.0.0:8181", f"127.0.0.1:{port}") for word in SERVICES["opa"]["command"]]
    words = [word.replace("/policies", str(tmp_path / "policies")) for word in words]
    server = await asyncio.create_subprocess_exec(opa, *words)
    try:
        await until(lambda: is_well(f"http://127.0.0.1:{port}/health?bundles=true"), why="the bundle is active")
    finally:
        server.terminate()
        await server.wait()

    assert revision
    assert sorted(path.name for path in (tmp_path / "policies").iterdir()) == ["bundle.tar.gz", "config.json"]


def test_the_servers_are_the_versions_that_are_tested() -> None:
    """The engine and the policy server have the versions of the embedded stack."""
    images = {each["image"].rpartition(":")[0]: each["image"].rpartition(":")[2] for each in SERVICES.values()}
    engine = RECIPES[Tool.TEMPORAL].proof.removeprefix("Server ")

    assert (images["temporalio/server"], images["temporalio/admin-tools"]) == (engine, engine)
    assert images["openpolicyagent/opa"] == f"{RECIPES[Tool.OPA].version}-static"


def test_the_namespace_gets_every_search_attribute() -> None:
    """The attributes that workflows carry are created with their types."""
    script = (ROOT / "deploy" / "temporal" / "namespace.sh").read_text()

    assert dict(re.findall(r"^attribute (\w+) (\w+)$", script, re.MULTILINE)) == search_attributes()


def test_the_image_installs_from_the_lock() -> None:
    """The image holds what the lock names, by hash, and nothing else is fetched."""
    steps = (ROOT / "deploy" / "Dockerfile").read_text()

    assert "--no-deps --require-hashes -r requirements.lock" in steps
    assert re.findall(r"pip install (?!--no-deps --require-hashes|--no-deps --no-build-isolation)", steps) == []
