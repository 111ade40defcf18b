"""What the documents say can be done: commands exist, pipelines load and run, links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import cli
from adapters.pipeline_file import load
from domain.approval import ApprovalStatus, Choice
from domain.evidence import Cause
from domain.execution import RunStatus
from domain.identity import Role
from domain.incident import Status
from domain.pipeline import PipelineSpec
from settings import Settings
from tests.architecture.sources import ROOT, kept_files, module_exists
from tests.engine import until
from tests.pipelines import apply

PAGES = tuple(
    path for path in kept_files() if path.suffix == ".md" and not {"data", "tests"} & set(path.relative_to(ROOT).parts)
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
VARIABLE = re.compile(r"\bSUTURE_[A-Z_]+\b")
FILE = re.compile(r"^(?!hello/)[a-z_.]+(?:/[\w.-]+)+\.(?:py|rego|json|md|sh|toml|yml)$")
STAGE_VARIABLES = {f"SUTURE_{name}" for name in ("CODE", "CONFIG", "INPUTS", "OUTPUTS", "SECRETS", "DRY_RUN", "FULL")}
FIRST = ROOT / "docs" / "howto" / "first-pipeline.md"


def code_lines(page: Path) -> Iterator[str]:
    """Every line that stands as code on a page."""
    text = page.read_text()
    for _, block in FENCED.findall(text):
        yield from block.splitlines()
    yield from INLINE.findall(FENCED.sub("", text))


def blocks(page: Path, language: str) -> list[str]:
    return [block for name, block in FENCED.findall(page.read_text()) if name == language]


def headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def unknown_words(line: str) -> list[str]:
    """What of a `suture …` line the command line does not know."""
    command: Any = typer.main.get_command(cli.app)
    words, known = shlex.split(line.replace("…", ""))[1:], options(command)
    while words and (commands := getattr(command, "commands", None)):
        word, words = words[0], words[1:]
        if word in known:
            words = words[1:]
        elif word not in commands:
            return [word]
        else:
            command = commands[word]
            known |= options(command)
    return [word for word in words if word.startswith("-") and word not in known]


def options(command: Any) -> set[str]:
    return {name for each in command.params for name in each.opts if name.startswith("-")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_exists(page: Path) -> None:
    """Each make target, each `suture` command with its options and each module on a page exists."""
    lines = list(code_lines(page))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = {match.group(1) for line in lines if (match := re.match(r"make ([a-z]+)\b", line))}
    modules = {match.group(1) for line in lines if (match := re.match(r"python -m ([\w.]+)", line))}

    assert made <= targets
    assert {line: found for line in lines if line.startswith("suture ") and (found := unknown_words(line))} == {}
    assert [name for name in modules if not module_exists(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link to a file, and to a heading in it, resolves."""
    links = [link.partition("#") for link in LINK.findall(page.read_text()) if "://" not in link]
    places = [(page.parent / file if file else page, anchor) for file, _, anchor in links]

    assert [str(place) for place, _ in places if not place.exists()] == []
    assert [anchor for place, anchor in places if anchor and anchor not in headings(place)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_and_file_on_a_page_exists(page: Path) -> None:
    """A setting that a page names is one, and a file that it names is there unless it says `not yet`."""
    text = page.read_text()
    absent = {word for clause in re.findall(r"not yet \((.*?)\)", text) for word in INLINE.findall(clause)}
    named = {word for word in INLINE.findall(FENCED.sub("", text)) if FILE.match(word)} - absent
    stage = {name for name in VARIABLE.findall(text) if name.startswith("SUTURE_STEP_")} | STAGE_VARIABLES

    assert set(VARIABLE.findall(text)) - stage <= Settings.settings_names()
    assert sorted(word for word in named if not (ROOT / word).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_pipeline_on_a_page_loads(page: Path) -> None:
    """A YAML block that is a pipeline is one the command line accepts."""
    for block in blocks(page, "yaml"):
        if "pipeline" in yaml.safe_load(block):
            assert load(block, file=page.name).stages


def test_the_first_pipeline_is_ten_lines_and_the_same_on_both_pages() -> None:
    """The README shows the pipeline that the howto explains."""
    shown, explained = blocks(ROOT / "README.md", "yaml")[0], blocks(FIRST, "yaml")[0]

    assert shown == explained
    assert len(shown.splitlines()) == 10


async def test_the_first_pipeline_runs_breaks_and_heals_as_the_howto_says(world, tenant, add_person) -> None:
    """It passes; with the renamed key it fails, the key is named, a second person approves, and it goes on with version 1."""
    services, author = world.services, tenant.admin
    approver = await add_person(tenant, Role.VIEWER, Role.APPROVER)
    spec = load(blocks(FIRST, "yaml")[0], file="pipeline.yaml")
    files = {"greet.py": blocks(FIRST, "python")[0]}
    pipeline = await apply(services, author, spec, files)
    healthy = await services.runs.start(author, pipeline.id)
    await until(lambda: _ended(services, author, healthy.id), why="the first run ends")
    first = (await services.runs.get(author, healthy.id)).execution.status

    await apply(services, author, _renamed(spec), files)
    broken = await services.runs.start(author, pipeline.id)
    await until(lambda: _asked(services, author), why="somebody is asked")
    approval = (await services.approvals.page(author, status=ApprovalStatus.OPEN, after=None, limit=1))[0]
    incident = (await services.runs.get(author, broken.id)).execution.incident
    causes = await services.diagnostics.hypotheses(author, incident)
    await services.approvals.submit(approver, approval.id, Choice.APPROVE, reason="version 1 was good")
    await until(lambda: _ended(services, author, broken.id), why="the second run ends")
    await until(lambda: _verified(services, author, incident), why="the incident closes")
    healed = (await services.runs.get(author, broken.id)).execution

    assert first is RunStatus.SUCCEEDED
    assert causes[0].cause is Cause.CONFIGURATION_DRIFT
    assert "greeting" in causes[0].statement
    assert (healed.status, healed.config_version) == (RunStatus.SUCCEEDED, 1)


def _renamed(spec: PipelineSpec) -> PipelineSpec:
    stage = {**spec.stages[0].model_dump(), "uses": ["greetings"]}
    return PipelineSpec.model_validate({**spec.model_dump(), "config": {"greetings": "good morning"}, "stages": [stage]})


async def _ended(services, caller, execution) -> bool:
    return bool((await services.runs.get(caller, execution)).execution.status.is_final)


async def _asked(services, caller) -> bool:
    return bool(await services.approvals.page(caller, status=ApprovalStatus.OPEN, after=None, limit=1))


async def _verified(services, caller, incident) -> bool:
    return (await services.incidents.get(caller, incident)).status is Status.VERIFIED
