"""`suture recovery`: work that failed for good, and asking to replay it."""

from typing import Annotated

import typer

from commands.client import path_id
from commands.exits import Exit, finish
from commands.run import RUN
from commands.session import api_of
from commands.showing import Columns, Format, Output, show_item, show_list, when

app = typer.Typer(no_args_is_help=True, help="Work that failed for good, and its replay.")

_EVENT: Columns = {
    "id": "id",
    "run": "execution_id",
    "strategy": "strategy",
    "reason": "dlq_reason",
    "plan": "plan_id",
    "outcome": "outcome",
    "asked": when("created_at"),
    "replayed": when("replayed_at"),
}


@app.command("list", epilog="Example: suture recovery list")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Runs that failed for good."""
    show_list(api_of(ctx).items("/recovery/failed"), RUN, output)


@app.command("events", epilog="Example: suture recovery events -o json")
def events(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """What was asked to be replayed, and what came of it."""
    show_list(api_of(ctx).items("/recovery/events"), _EVENT, output)


@app.command("replay", epilog="Example: suture recovery replay exe_06c2k8r3c1x7v9h2m4n5p6q7s8 --reason 'upstream is back'")
def replay(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Kept with the request.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Ask for a replay. It is a plan of one step on the same path as any other, so it ends with 4: it waits."""
    answer = api_of(ctx).send("POST", "/recovery/replay", {"execution_id": path_id(run, "exe"), "reason": reason})
    show_item(answer.body, _EVENT, output)
    if answer.body["plan_id"]:
        typer.echo(f"next:  suture plan show {answer.body['plan_id']}", err=True)
    finish(Exit.WAITING)
