"""The policies hold what their own tests say, and the numbers in force allow what they must and no more."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from domain.actions import CATALOG
from domain.evidence import EvidenceKind
from domain.identity import Role
from stack.tools import Tool
from tests.engine import program

POLICIES = Path(__file__).parents[2] / "policies"
FOLDERS = (str(POLICIES / "rego"), str(POLICIES / "data"))
PLAN = {
    "environment": "dev",
    "is_production": False,
    "action": "retry_stage",
    "risk": "low",
    "reversibility": "reversible",
    "confidence": 0.7,
    "steps": 1,
    "blast_radius": 1,
    "fidelity": "none",
}


def opa(*words: str, question: Any = None) -> str:
    done = subprocess.run(
        [program(Tool.OPA), *words], input=json.dumps(question), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"opa {words[0]}: {done.stderr}{done.stdout}"
    return done.stdout


def evaluate(query: str, question: Any) -> Any:
    data = [word for folder in FOLDERS for word in ("--data", folder)]
    return json.loads(opa("eval", *data, "--stdin-input", "--format=raw", f"[{query}]", question=question))[0]


def test_every_line_of_every_policy_is_tested() -> None:
    """The policies' own tests pass and cover each line."""
    report = json.loads(opa("test", *FOLDERS, "--coverage"))

    gaps = {name: lines["not_covered"] for name, lines in report["files"].items() if "not_covered" in lines}
    assert (report["coverage"], gaps) == (100, {})


def test_policies_pass_the_strict_check() -> None:
    """Policies and numbers compile under the strict rules of the language."""
    assert opa("check", "--strict", *FOLDERS) == ""


def test_policies_are_formatted() -> None:
    """No policy differs from its formatted form."""
    assert opa("fmt", "--list", FOLDERS[0]) == ""


@pytest.mark.parametrize("path", sorted((POLICIES / "rego").glob("*.rego")), ids=lambda path: path.name)
def test_package_mirrors_its_path(path: Path) -> None:
    """A file's package is its name under `suture`."""
    assert f"package suture.{path.stem}" in path.read_text().splitlines()


@pytest.mark.parametrize(
    "path", [p for p in sorted((POLICIES / "rego").glob("*.rego")) if not p.stem.endswith("_test")], ids=str
)
def test_each_code_is_expected_by_a_test(path: Path) -> None:
    """Every refusal code of a policy stands in its test file."""
    codes = {word for word in path.read_text().split('"') if len(word) == 5 and word[:2].isupper() and word[2:].isdigit()}
    tested = path.with_name(f"{path.stem}_test.rego").read_text()

    assert codes
    assert {code for code in codes if f'"{code}"' not in tested} == set()


def test_roles_of_the_policy_are_the_roles_of_the_domain() -> None:
    """The role table knows each role and no other."""
    assert set(evaluate("object.keys(data.settings.authz.roles)", {})) == {str(role) for role in Role}


def test_actions_of_the_policy_are_the_catalogue() -> None:
    """Preflight knows each remedy of the catalogue and no other."""
    assert set(evaluate("data.settings.preflight.actions", {})) == {action.name for action in CATALOG}


def test_kinds_of_evidence_are_those_of_the_domain() -> None:
    """Each kind of evidence counts towards running alone."""
    assert set(evaluate("data.settings.autonomy.kinds", {})) == {str(kind) for kind in EvidenceKind}


@pytest.mark.parametrize("risk", ["low", "medium", "high"])
@pytest.mark.parametrize("fidelity", ["server", "none"])
def test_each_risk_has_a_usable_rule_with_quorum_one(risk: str, fidelity: str) -> None:
    """The numbers in force name approvers for every risk, and one of them suffices."""
    rule = evaluate("data.suture.approval.rule", {"plan": {"risk": risk, "fidelity": fidelity}})

    assert (rule["tier"], rule["quorum"], rule["roles"]) == ("human", 1, ["approver"])


@pytest.mark.parametrize(
    ("environment", "tier"), [("dev", "auto"), ("staging", "human"), ("prod", "human"), ("prd-2", "human")]
)
def test_retrying_a_stage_runs_alone_in_dev_only(environment: str, tier: str) -> None:
    """With the automatic mode released, our own record and the stage's log suffice to retry a stage in dev."""
    question = {
        "plan": PLAN | {"environment": environment, "is_production": environment not in {"dev", "staging"}, "confidence": 0.99},
        "kinds": ["execution", "log"],
        "automatic_released": True,
        "min_confidence": None,
    }

    assert evaluate("data.suture.autonomy.decision.tier", question) == tier
