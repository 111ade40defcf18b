"""Every noun of the command line against the API itself: what it sends is understood, and what comes back can be shown."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from typer.testing import CliRunner, Result

from cli import app
from commands.exits import Exit
from stack import ports
from stack.application import environment_file
from tests.api.operations import UNKNOWN
from tests.api.site import Incident, Site, everything
from tests.database import DatabaseUrls, FoundOrg
from tests.engine import until

FILE = """
pipeline: tiny
environment: dev
owner: data
code: src
stages:
  - name: one
    run: [python, one.py]
"""
DONE: tuple[str, ...] = (
    "pipeline apply {file}",
    "pipeline list",
    "pipeline show {pipeline_id}",
    "pipeline versions {pipeline_id}",
    "pipeline run {pipeline_id}",
    "run list",
    "run show {execution_id}",
    "incident list",
    "incident show {incident_id}",
    "incident timeline {incident_id}",
    "plan show {plan_id}",
    "plan diff {plan_id}",
    "approvals",
    "recovery list",
    "recovery events",
    "kill-switch list",
    "kill-switch engage org --reason looking",
    "kill-switch release org --reason seen",
    "kill-switch automatic show",
    "audit list",
    "audit verify",
    "principal list",
    "principal me",
    "principal create Ada --role viewer",
    "principal change {principal_id} --state active",
    "token list",
    "token create --days 1",
    "environment list",
    "environment create qa --not-production",
    "platform org list",
)
"""What ends with 0, and says JSON."""

REFUSED: dict[str, Exit] = {
    "pipeline show {unknown_pipeline}": Exit.NOT_FOUND,
    "run show {unknown_execution}": Exit.NOT_FOUND,
    "incident show {unknown_incident}": Exit.NOT_FOUND,
    "plan show {unknown_plan}": Exit.NOT_FOUND,
    "plan execute {plan_id}": Exit.FAILED,
    "approve {unknown_plan}": Exit.NOT_FOUND,
    "approve {plan_id}": Exit.DENIED,
    "reject {unknown_plan}": Exit.NOT_FOUND,
    "approvals --status nowhere": Exit.USAGE,
    "recovery replay {unknown_execution}": Exit.NOT_FOUND,
    "recovery replay {execution_id}": Exit.FAILED,
    "kill-switch engage workflow nowhere --reason x": Exit.NOT_FOUND,
    "audit list --action {long}": Exit.USAGE,
    "principal change {unknown_principal} --state inactive": Exit.NOT_FOUND,
    "token revoke {unknown_token}": Exit.NOT_FOUND,
    "secret set nowhere password": Exit.NOT_FOUND,
    "environment create dev": Exit.FAILED,
    "platform org deactivate nobody --reason x": Exit.NOT_FOUND,
}
"""One refusal of each noun at least, and the exit code that says of which kind it is."""

Suture = Callable[..., Awaitable[Result]]


@pytest_asyncio.fixture(scope="session")
async def address(site: Site) -> AsyncIterator[str]:
    """The site's API, served on the loopback."""
    port = ports.choose(0)[0]
    server = uvicorn.Server(uvicorn.Config(site.app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())

    async def serves() -> bool:
        return server.started

    await until(serves, why="the API serves")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest_asyncio.fixture
async def own(site: Site, found_org: FoundOrg) -> Incident:
    """An org of the test's own, with one object of every kind."""
    return await everything(site, await found_org())


@pytest.fixture
def words(own: Incident, tmp_path: Path) -> Callable[[str], list[str]]:
    """A line of the lists above as arguments, with its ids."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "one.py").write_text("print(1)\n")
    file = tmp_path / "pipeline.yaml"
    file.write_text(FILE)
    unknown = {f"unknown_{name.removesuffix('_id')}": shown for name, shown in UNKNOWN.items()}
    known = own.ids | unknown | {"file": str(file), "long": "x" * 300}
    return lambda line: [each.format_map(known) for each in line.split()]


@pytest.fixture
def suture(own: Incident, address: str, database_urls: DatabaseUrls, tmp_path: Path) -> Suture:
    """Run `suture` as somebody with every role, or with another token."""
    data = tmp_path / "data"
    kept = environment_file(data)
    kept.parent.mkdir(parents=True)
    platform = {"SUTURE_DATABASE_URL": database_urls.app, "SUTURE_DATABASE_PLATFORM_URL": database_urls.platform}
    kept.write_text(json.dumps(platform | {"SUTURE_DATA": str(data)}))

    async def run(*words: str, stdin: str = "", token: str = own.by.token) -> Result:
        environment = {"SUTURE_DATA": str(data), "SUTURE_API_URL": address, "SUTURE_TOKEN": token}
        return await asyncio.to_thread(CliRunner().invoke, app, words, input=stdin, env=environment)

    return run


@pytest.mark.parametrize("line", DONE)
async def test_a_command_is_understood_and_its_answer_shown(suture: Suture, words: Any, line: str) -> None:
    """It ends with 0, and standard output is JSON and nothing else."""
    found = await suture(*words(line), "-o", "json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout) is not None


@pytest.mark.parametrize("line", REFUSED)
async def test_a_refusal_is_told_by_its_exit_code(suture: Suture, words: Any, line: str) -> None:
    """What the API refuses leaves standard output empty, a sentence on the other, and the exit code of its kind."""
    output = [] if line.startswith("secret") else ["-o", "json"]
    found = await suture(*words(line), *output, stdin="hush\n")
    assert (found.exit_code, found.stdout) == (REFUSED[line], ""), found.output
    assert found.stderr.strip()


async def test_a_log_that_was_exported_is_checked_without_us(suture: Suture, tmp_path: Path) -> None:
    """Log, note and key lie side by side, and hold what the offline check wants."""
    log = tmp_path / "audit.jsonl"
    assert (await suture("audit", "export", str(log))).exit_code == 0
    offline = ["audit", "verify", "--file", str(log), "--checkpoint", str(log.with_suffix(".note"))]
    found = await suture(*offline, "--key", str(log.with_suffix(".key")), "-o", "json")
    assert found.exit_code == 0, found.output


async def test_a_secret_is_set_and_a_token_revoked(suture: Suture, words: Any) -> None:
    """Both say nothing of what they hold; a revoked token is refused."""
    assert (await suture("secret", "set", "dev", "password", stdin="hush\n")).exit_code == 0
    made = json.loads((await suture("token", "create", "-o", "json")).stdout)
    assert (await suture("principal", "me", token=made["secret"])).exit_code == 0
    assert (await suture("token", "revoke", made["token"]["id"])).exit_code == 0
    refused = await suture("principal", "me", token=made["secret"])
    assert (refused.exit_code, refused.stdout) == (Exit.FAILED, "")
