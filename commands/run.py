"""`suture run`: what runs of pipelines came to, stage by stage."""

import time
from datetime import timedelta
from typing import Annotated, Any

import typer

from commands.client import Api, path_id
from commands.exits import CommandError, Exit
from commands.session import api_of
from commands.showing import Columns, Format, Item, Output, plain, show_item, show_list, structured, when

app = typer.Typer(no_args_is_help=True, help="Runs of pipelines, stage by stage.")

_TICK_S = 0.5
_ENDED = {"succeeded": Exit.OK, "failed": Exit.FAILED, "cancelled": Exit.FAILED}


def _seconds(attempt: Item) -> str | None:
    result = attempt.get("result")
    return str(result["wall"]).removeprefix("PT").removesuffix("S") if result else None


RUN: Columns = {
    "id": "id",
    "pipeline": "pipeline_id",
    "status": "status",
    "version": "config_version",
    "failed stage": "failed_stage",
    "incident": "incident_id",
    "heal by": when("heal_by"),
    "started": when("started_at"),
    "finished": when("finished_at"),
}
_DETAIL: Columns = {**RUN, "started by": "started_by", "error": "error_code", "message": "error_message"}
_ATTEMPTS: Columns = {
    "stage": "stage",
    "attempt": "number",
    "kind": "kind",
    "status": "status",
    "version": "config_version",
    "started": when("started_at"),
    "seconds": _seconds,
    "exit": lambda item: (item.get("result") or {}).get("exit_code"),
}


@app.command("list", epilog="Example: suture run list --status failed")
def list_(
    ctx: typer.Context,
    status: Annotated[str | None, typer.Option(help="pending, running, waiting, succeeded, failed or cancelled.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    output: Output = Format.TABLE,
) -> None:
    """Runs, the newest first."""
    show_list(api_of(ctx).items("/executions", limit=limit, status=status), RUN, output)


@app.command("show", epilog="Example: suture run show exe_06c2k8r3c1x7v9h2m4n5p6q7s8")
def show(ctx: typer.Context, run: Annotated[str, typer.Argument(metavar="RUN")], output: Output = Format.TABLE) -> None:
    """One run with every attempt at its stages, and the last words of the one that failed."""
    view = api_of(ctx).get(f"/executions/{path_id(run, 'exe')}")
    if output is not Format.TABLE:
        return structured(view, output)
    show_item(view["execution"], _DETAIL, output)
    typer.echo("")
    show_list(view["attempts"], _ATTEMPTS, output)
    return _last_words(view)


def follow(api: Api, run: str, *, within: timedelta) -> dict[str, Any]:
    """The run once it has ended or waits for its healing.

    Raises:
        CommandError: it does neither in time.
    """
    until = time.monotonic() + within.total_seconds()
    while time.monotonic() < until:
        execution: dict[str, Any] = api.get(f"/executions/{run}")["execution"]
        if execution["status"] not in {"pending", "running"}:
            return execution
        time.sleep(_TICK_S)
    step = f"it goes on without you: `suture run show {run}`"
    raise CommandError(f"the run did not end within {within.total_seconds():.0f} s", next_step=step)


def ended(execution: Item) -> Exit:
    """A run that waits, waits for its healing, and mostly for a person."""
    return _ENDED.get(str(execution["status"]), Exit.WAITING)


def _last_words(view: Item) -> None:
    failed = [each for each in view["attempts"] if each["status"] == "failed" and each.get("result")]
    if view["execution"]["status"] != "succeeded" and failed:
        from_stage = failed[-1]
        typer.echo(f"\nlast words of {from_stage['stage']}:")
        show_words(str(from_stage["result"]["tail"] or from_stage["result"]["head"]))


def show_words(text: str) -> None:
    for line in text.rstrip().splitlines()[-20:]:
        typer.echo(f"  {plain(line)}")
