"""Who may import whom, where the import contracts cannot look: files at the root, routes, third parties."""

import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOMS, ROOT, imports, python_files

ENTRIES = {
    "bootstrap.py": {
        "outside", "settings", "adapters", "activities", "workflows.client", "workflows.registry", "services", "storage",
        "models", "domain",
    },
    "outside.py": {"settings", "adapters", "workflows.client", "services", "storage", "domain"},
    "provision.py": {"outside", "settings", "services", "storage", "domain"},
    "settings.py": {"domain"},
    "worker.py": {"bootstrap", "settings", "workflows.registry", "activities", "services.relay"},
    "api/app.py": {"bootstrap", "settings", "api", "domain"},
}  # fmt: skip
COMMAND_LINE = {"commands", "settings", "stack", "demo", "domain", "adapters.pipeline_file", "adapters.signing"}
THIRD_PARTIES = {
    "domain": {"pydantic", "pydantic_core", "rfc8785"},
    "models": {"pydantic", "numpy", "scipy", "sklearn", "xgboost", "re2"},
}
OURS = frozenset({*ROOMS, "bootstrap", "cli", "outside", "provision", "settings", "worker"})


def strangers(path: Path, allowed: set[str]) -> list[str]:
    """What `path` imports of our own and may not."""
    mine = (name for name in imports(path) if name.partition(".")[0] in OURS)
    return sorted(name for name in mine if not any(_is_within(name, each) or _is_within(each, name) for each in allowed))


def _is_within(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_process_entry_imports_only_what_it_starts(entry: str) -> None:
    """Each file that starts a process knows the rooms it opens and no other."""
    assert strangers(ROOT / entry, ENTRIES[entry]) == []


def test_the_command_line_reaches_the_product_by_http() -> None:
    """The command line imports the stack, the demo and the words; everything else it asks the API for."""
    files = (ROOT / "cli.py", *python_files("commands"))

    assert {str(path): found for path in files if (found := strangers(path, COMMAND_LINE))} == {}


def test_a_route_imports_its_dependencies_services_and_words() -> None:
    """A route knows nothing of the API but `api.deps` and other routes."""
    allowed = {"api.deps", "api.routes", "services", "domain"}

    assert {path.name: found for path in python_files("api/routes") if (found := strangers(path, allowed))} == {}


@pytest.mark.parametrize("room", THIRD_PARTIES)
def test_a_pure_room_uses_few_third_parties(room: str) -> None:
    """The words and the models need nothing that does input or output."""
    known = THIRD_PARTIES[room] | OURS | sys.stdlib_module_names
    roots = {name.partition(".")[0] for path in python_files(room) for name in imports(path)}

    assert roots - known == set()


def test_every_room_is_under_contract() -> None:
    """A new package at the root cannot stay outside of the import contracts."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert packages - {"tests", "benchmarks"} == set(ROOMS)
