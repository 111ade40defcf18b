"""`suture kill-switch`: stop effects, let them go on, hold or release the automatic mode."""

from enum import StrEnum
from typing import Annotated

import typer

from commands.exits import CommandError, Exit
from commands.session import api_of
from commands.showing import Columns, Format, Output, show_item, show_list, when

app = typer.Typer(no_args_is_help=True, help="Stop effects before they happen, and let them go on.")

Reason = Annotated[str, typer.Option("--reason", "-r", help="Kept with the switch.")]
Subject = Annotated[str | None, typer.Argument(help="Which workflow or action; the org needs none.")]

_EXAMPLE = "suture kill-switch engage action rollback_config --reason 'looking'"
_SWITCH: Columns = {
    "level": "level",
    "subject": "subject",
    "engaged": "is_active",
    "reason": "reason",
    "changed by": "changed_by",
    "changed": when("changed_at"),
}


class Level(StrEnum):
    """Levels of one org; the wider ones are `suture platform switch`."""

    ORG = "org"
    WORKFLOW = "workflow"
    VENDOR = "vendor"
    ACTION = "action"


class Mode(StrEnum):
    SHOW = "show"
    HOLD = "hold"
    RELEASE = "release"


@app.command("list", epilog="Example: suture kill-switch list")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Every switch that could stop something here, the platform's first."""
    show_list(api_of(ctx).items("/kill-switches"), _SWITCH, output)


@app.command("engage", epilog="Example: suture kill-switch engage org --reason 'looking into inc_…'")
def engage(ctx: typer.Context, level: Level, reason: Reason, subject: Subject = None, output: Output = Format.TABLE) -> None:
    """Stop every effect below it, from the next step on; everyone but a viewer may."""
    _put(ctx, level, subject, reason, engaged=True, output=output)


@app.command("release", epilog="Example: suture kill-switch release org --reason 'understood'")
def release(ctx: typer.Context, level: Level, reason: Reason, subject: Subject = None, output: Output = Format.TABLE) -> None:
    """Let effects go on; admins only."""
    _put(ctx, level, subject, reason, engaged=False, output=output)


@app.command("automatic", epilog="Example: suture kill-switch automatic release")
def automatic(
    ctx: typer.Context,
    mode: Annotated[Mode, typer.Argument(help="Held, every plan asks a person; it boots held.")] = Mode.SHOW,
    output: Output = Format.TABLE,
) -> None:
    """Whether plans may run without a person, where policy, risk and confidence allow exactly that."""
    api = api_of(ctx)
    if mode is Mode.SHOW:
        found = api.get("/automatic")
    else:
        found = api.send("PUT", "/automatic", {"released": mode is Mode.RELEASE}).body
    show_item(found, {"org": "org_id", "released": "released"}, output)


def _put(ctx: typer.Context, level: Level, subject: str | None, reason: str, *, engaged: bool, output: Format) -> None:
    body = {"level": level, "subject": _named(level, subject), "is_active": engaged, "reason": reason}
    show_item(api_of(ctx).send("PUT", "/kill-switches", body).body, _SWITCH, output)


def _named(level: Level, subject: str | None) -> str:
    """Raises CommandError: only the org's switch stands over everything, so only it goes without a name."""
    if subject is None and level is not Level.ORG:
        raise CommandError(f"which {level}? name it: {_EXAMPLE}", code=Exit.USAGE, next_step="`--help` shows the words")
    return subject or "*"
