"""`suture doctor` and `suture ui`: what this machine lacks, and how to read histories in the Web UI."""

import asyncio
import os
import sys
from pathlib import Path

import typer

import settings
from commands.exits import CommandError, Exit, finish
from commands.session import DataOption, api_of, connection_of, data_directory, given_in
from commands.showing import Columns, Format, Output, show_item, show_list, structured
from stack import account
from stack.doctor import Finding, Subject, examine
from stack.tools import Search, Tool, default_cache

ROOT = Path(__file__).resolve().parent.parent

SYSTEM_PYTHON = Path("/usr/bin/python3")

_FINDING: Columns = {
    "what": "name",
    "ok": "ok",
    "found": "detail",
    "mend": lambda item: "" if item["ok"] else item["mend"],
}
_NICE_TO_HAVE = frozenset({"node", "go", "git", "make"})


def search(chosen: settings.Settings) -> Search:
    """Where the settings say that tools are looked for."""
    named = {Tool.TEMPORAL: chosen.temporal_path, Tool.OPA: chosen.opa_path}
    return Search(
        modules=ROOT / "tools",
        cache=default_cache(),
        explicit={tool: path for tool, path in named.items() if path is not None},
        path=os.environ.get("PATH", os.defpath),
        download=chosen.download,
    )


def doctor(ctx: typer.Context, data: DataOption = None, output: Output = Format.TABLE) -> None:
    """What is missing on this machine, and the command that mends it; 1 when something needed is."""
    chosen = settings.load()
    place = data_directory(data or given_in(ctx).data, chosen)
    subject = Subject(tools=search(chosen), data=place, code=ROOT, interpreter=_interpreter(chosen))
    findings = asyncio.run(examine(subject))
    show_list([each.model_dump(mode="json") for each in findings], _FINDING, output)
    finish(Exit.FAILED if any(_is_needed(each, findings) for each in findings) else Exit.OK)


def ui(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """A one-time link that lets this browser read histories in the engine's Web UI, and how."""
    connection = connection_of(ctx)
    link = api_of(ctx).send("POST", "/codec/session").body["url"]
    told = {"open first": link, "web ui": connection.ui_url, "codec endpoint": f"{connection.api_url}/api/v1/codec"}
    if link is None:
        raise CommandError("the API made no link", next_step="try again")
    if output is not Format.TABLE:
        return structured({name.replace(" ", "_"): value for name, value in told.items()}, output)
    show_item(told, {name: name for name in told}, output)
    typer.echo("\nThe link works once, for five minutes. In the Web UI open the data encoder (the glasses at the top),")
    return typer.echo("check the codec endpoint, and tick `Include cross-origin credentials`.")


def _interpreter(chosen: settings.Settings) -> Path:
    """What `python` in a stage will be made from: see `stack.interpreter`."""
    own, ordinary = Path(sys.executable), account.ordinary()
    usable = ordinary is None or account.can_run(own, ordinary)
    return chosen.stage_python or (own if usable else SYSTEM_PYTHON)


def _is_needed(finding: Finding, findings: tuple[Finding, ...]) -> bool:
    """Go only builds the tools that are not there yet; node, git and make serve who develops."""
    if finding.ok:
        return False
    if finding.name == "go":
        return any(not each.ok for each in findings if each.name in set(Tool))
    return finding.name not in _NICE_TO_HAVE
