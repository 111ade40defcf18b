"""`suture platform`: acts of the whole platform, done on its machine by a process of their own, never over HTTP."""

import json
import os
import subprocess
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

import settings
from commands.doctor import ROOT
from commands.exits import CommandError, Exit
from commands.session import data_directory, given_in
from commands.showing import Columns, Format, Output, show_item, show_list, when
from stack.application import environment_file

app = typer.Typer(no_args_is_help=True, help="Orgs and the widest kill switches; on the stack's machine only.")
orgs = typer.Typer(no_args_is_help=True, help="Who lives on this platform.")
switches = typer.Typer(no_args_is_help=True, help="Stop every org, or every org of a region.")
app.add_typer(orgs, name="org")
app.add_typer(switches, name="switch")

_WITHIN_S = 60
_ORG: Columns = {"id": "id", "name": "name", "active": "is_active", "automatic": "automatic_released"}
_SWITCH: Columns = {
    "level": "level",
    "subject": "subject",
    "engaged": "is_active",
    "reason": "reason",
    "changed": when("changed_at"),
}

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Kept in the platform's own ledger.")]
Subject = Annotated[str, typer.Argument(help="A region's name; `*` for global.")]


class Level(StrEnum):
    GLOBAL = "global"
    REGION = "region"


@orgs.command("create", epilog="Example: suture platform org create acme")
def create(ctx: typer.Context, name: NameArgument, output: Output = Format.TABLE) -> None:
    """Add an org with its first admin, whose token is left in a file of mode 0600."""
    made = _act(ctx, "org", "create", name)
    show_item(made, {**_ORG, "token file": "token_file"}, output)


@orgs.command("list", epilog="Example: suture platform org list")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Every org."""
    show_list(_act(ctx, "org", "list"), _ORG, output)


@orgs.command("activate", epilog="Example: suture platform org activate acme --reason 'paid'")
def activate(ctx: typer.Context, name: NameArgument, reason: Reason, output: Output = Format.TABLE) -> None:
    """From now on its tokens count."""
    show_item(_act(ctx, "org", "activate", name, "--reason", reason), _ORG, output)


@orgs.command("deactivate", epilog="Example: suture platform org deactivate acme --reason 'asked to'")
def deactivate(ctx: typer.Context, name: NameArgument, reason: Reason, output: Output = Format.TABLE) -> None:
    """From now on its tokens do not count, and nothing of it takes effect."""
    show_item(_act(ctx, "org", "deactivate", name, "--reason", reason), _ORG, output)


@switches.command("engage", epilog="Example: suture platform switch engage global --reason 'maintenance'")
def engage(ctx: typer.Context, level: Level, reason: Reason, subject: Subject = "*", output: Output = Format.TABLE) -> None:
    """Stop every effect before its next step."""
    show_item(_act(ctx, "switch", "engage", level, subject, "--reason", reason), _SWITCH, output)


@switches.command("release", epilog="Example: suture platform switch release region local --reason 'done'")
def release(ctx: typer.Context, level: Level, reason: Reason, subject: Subject = "*", output: Output = Format.TABLE) -> None:
    """Let effects go on."""
    show_item(_act(ctx, "switch", "release", level, subject, "--reason", reason), _SWITCH, output)


@app.command("verify", epilog="Example: suture platform verify")
def verify(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Walk the platform's own ledger."""
    found = _act(ctx, "verify")
    show_item(found, {"whole": lambda item: item["fault"] is None, "entries": "size", "head": "head", "fault": "fault"}, output)
    if found["fault"] is not None:
        raise typer.Exit(Exit.FAILED)


def _act(ctx: typer.Context, *words: str) -> Any:
    """What the act answers. It runs in the environment that `suture up` gave its own processes.

    Raises:
        CommandError: with the code and the sentence of that process.
    """
    argv = (sys.executable, "-m", "provision", "platform", *words)
    try:
        done = subprocess.run(
            argv, cwd=ROOT, env=_environment(ctx), capture_output=True, timeout=_WITHIN_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"no answer within {_WITHIN_S} s", next_step="`suture doctor`, then try again") from None
    if done.returncode == 0:
        return json.loads(done.stdout)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    known = done.returncode if done.returncode in set(Exit) else Exit.FAILED
    sentence = said[-1] if said else "the act failed and did not say why"
    step = (
        "`suture up` starts the stack"
        if done.returncode == os.EX_UNAVAILABLE
        else "`suture platform org list` shows what there is"
    )
    raise CommandError(sentence, code=Exit(known), next_step=step)


def _environment(ctx: typer.Context) -> dict[str, str]:
    chosen = settings.load()
    path = environment_file(data_directory(given_in(ctx).data, chosen))
    if chosen.database_platform_url is not None:
        return dict(os.environ)
    try:
        kept: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        step = "`suture up` makes it; or name the machine's data directory with --data"
        raise CommandError(f"{path} is not there", next_step=step) from None
    return os.environ | kept
