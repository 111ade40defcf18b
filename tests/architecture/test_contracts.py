"""Where a newcomer adds: what lies in the folder is registered, known to policy and documented."""

import importlib
import json
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest
from fastapi import APIRouter

import api.routes
import domain.actions
import models.detectors
from api.routes import ROUTERS
from domain.actions import CATALOG
from domain.actions.base import Action
from domain.evidence import Cause
from domain.plan import Reversibility, Risk
from models.detectors import DETECTORS
from tests.architecture.sources import ROOT, python_files

POLICIES = ROOT / "policies"
RULES = sorted(path for path in (POLICIES / "rego").glob("*.rego") if not path.stem.endswith("_test"))
REMEDIES = sorted(name for _, name, _ in pkgutil.iter_modules(domain.actions.__path__) if name != "base")
MODELS = tuple(
    importlib.import_module(f"models.detectors.{name}") for _, name, _ in pkgutil.iter_modules(models.detectors.__path__)
)
NOUNS = sorted(name for _, name, _ in pkgutil.iter_modules(api.routes.__path__))
ADDED = {
    "domain/actions/": "add-a-remedy.md",
    "policies/rego/": "add-a-policy.md",
    "api/routes/": "add-a-route.md",
    "models/detectors/": "add-a-detector.md",
}


def settings_of(name: str) -> dict[str, object]:
    settings: dict[str, object] = json.loads((POLICIES / "data" / f"{name}.json").read_text())["settings"][name]
    return settings


def test_every_remedy_is_in_the_catalogue() -> None:
    """A file per remedy, named as the remedy, and each of them registered once."""
    assert sorted(action.name for action in CATALOG) == REMEDIES


@pytest.mark.parametrize("action", CATALOG, ids=lambda action: action.name)
def test_a_remedy_says_what_it_risks(action: Action) -> None:
    """Risk, reversibility, reach and causes are words of ours, never free text."""
    assert isinstance(action.risk, Risk)
    assert isinstance(action.reversibility, Reversibility)
    assert action.blast_radius > 0
    assert all(isinstance(cause, Cause) for cause in action.heals)


def test_the_catalogue_begins_with_the_least_risk() -> None:
    """The order in which remedies are tried is the order of their risk."""
    risks = [list(Risk).index(action.risk) for action in CATALOG]

    assert risks == sorted(risks)


def test_policy_knows_every_remedy_and_no_other() -> None:
    """Preflight lets exactly the catalogue pass, and what may run alone is in it."""
    environments = settings_of("environments")
    alone = {name for each in environments.values() if isinstance(each, dict) for name in each["auto_actions"]}

    assert settings_of("preflight")["actions"] == [action.name for action in CATALOG]
    assert alone <= set(REMEDIES)


def detectors_in(module: ModuleType) -> list[type]:
    """The classes of a file that observe and can be restored; a protocol is none."""
    own = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]
    return [each for each in own if {"observe", "restored"} <= vars(each).keys() and Protocol not in each.__bases__]


def test_every_detector_is_registered() -> None:
    """A file with a detector is one under its own name, and nothing else is."""
    found = [(module.__name__.rpartition(".")[2], kind) for module in MODELS for kind in detectors_in(module)]

    assert sorted(found, key=str) == sorted(DETECTORS.items(), key=str)


@pytest.mark.parametrize("name", DETECTORS)
def test_each_detector_has_tests_and_a_line_for_those_who_choose(name: str) -> None:
    """The howto says what a detector is fed and finds, and some test is about it."""
    tests = [path.read_text() for path in (ROOT / "tests" / "unit" / "models" / "detectors").glob("test_*.py")]

    assert f"| `{name}` |" in (ROOT / "docs" / "howto" / "add-a-detector.md").read_text()
    assert any(f"from models.detectors.{name} import" in text for text in tests)


def test_every_router_is_registered() -> None:
    """Each router of each file in api/routes is served."""
    modules = [importlib.import_module(f"api.routes.{name}") for name in NOUNS]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, APIRouter)]

    assert {id(router) for router in ROUTERS} == {id(router) for router in found}
    assert len(ROUTERS) == len({id(router) for router in ROUTERS})


@pytest.mark.parametrize("noun", NOUNS)
def test_a_file_of_routes_has_a_router(noun: str) -> None:
    """A file in api/routes without a router would be something else."""
    module = importlib.import_module(f"api.routes.{noun}")

    assert any(isinstance(value, APIRouter) and value.routes for value in vars(module).values())


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)
def test_a_policy_has_tests_and_numbers_of_its_own(rules: Path) -> None:
    """Beside each policy stand its tests, and its numbers in the data folder."""
    assert rules.with_name(f"{rules.stem}_test.rego").exists()
    assert settings_of(rules.stem)


def test_no_test_is_left_without_its_policy() -> None:
    """A policy that goes takes its tests along."""
    tests = {path.stem.removesuffix("_test") for path in (POLICIES / "rego").glob("*_test.rego")}

    assert tests == {path.stem for path in RULES}


@pytest.mark.parametrize("folder", ADDED)
def test_each_folder_says_how_something_is_added(folder: str) -> None:
    """A howto names the folder it is about, and CONTRIBUTING leads to it."""
    assert folder in (ROOT / "docs" / "howto" / ADDED[folder]).read_text()
    assert ADDED[folder] in (ROOT / "CONTRIBUTING.md").read_text()


def test_each_decision_is_a_page_with_three_parts() -> None:
    """A decision says its context, what was decided and what follows, on one page."""
    pages = {path.name: path.read_text() for path in (ROOT / "docs" / "decisions").glob("*.md")}
    parts = {name: [line for line in text.splitlines() if line.startswith("## ")] for name, text in pages.items()}

    assert set(map(tuple, parts.values())) == {("## Context", "## Decision", "## Consequences")}
    assert {name: len(text.split()) for name, text in pages.items() if len(text.split()) > 450} == {}


def test_every_file_opens_with_a_sentence() -> None:
    """A file of ours says first what it is responsible for."""
    files = python_files(
        "activities", "adapters", "api", "commands", "demo", "domain", "models", "services", "stack", "storage", "workflows"
    )
    silent = [
        str(path.relative_to(ROOT))
        for path in files
        if "versions" not in path.parts and not path.read_text().startswith(('"""', 'r"""'))
    ]

    assert silent == []
