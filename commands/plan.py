"""`suture plan`, `approve` and `reject`: what would be changed, and a person's word on exactly that."""

import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from commands.client import Answer, Api, path_id
from commands.exits import CommandError, Exit, finish
from commands.session import api_of
from commands.showing import Columns, Format, Item, Output, plain, show_item, show_lines, show_list, structured, when

app = typer.Typer(no_args_is_help=True, help="Fix plans: what would be changed, why, and how it is undone.")

PlanArgument = Annotated[str, typer.Argument(metavar="PLAN")]
Why = Annotated[str, typer.Option("--reason", "-r", help="Kept with the decision.")]


def preflight_of(plan: Item) -> str | None:
    preflight = plan.get("preflight")
    if preflight is None:
        return None
    reasons = [f"{each['code']} {each['msg']}" for each in (*preflight["refusals"], *preflight["reasons"])]
    return f"{'passed' if preflight['passed'] else 'refused'}, {preflight['tier']}: {'; '.join(reasons) or 'no remarks'}"


PLAN: Columns = {
    "id": "id",
    "incident": "incident_id",
    "status": "status",
    "action": "action",
    "summary": "summary",
    "why": "why",
    "environment": "environment",
    "risk": "risk",
    "reversibility": "reversibility",
    "confidence": "confidence",
    "mode": "mode",
    "preflight": preflight_of,
    "supersedes": "supersedes",
    "digest": "digest",
    "made": when("created_at"),
}
_APPROVAL: Columns = {
    "approval": "id",
    "plan": "plan_id",
    "status": "status",
    "role": "required_role",
    "decide by": when("decide_by"),
    "decided": when("decided_at"),
}


@app.command("show", epilog="Example: suture plan show plan_06c2k8r3c1x7v9h2m4n5p6q7s8")
def show(ctx: typer.Context, plan: PlanArgument, output: Output = Format.TABLE) -> None:
    """A plan, why it was chosen, what was left out, and what its preflight said."""
    found = _plan(api_of(ctx), plan)
    show_item(found, PLAN, output)
    if output is Format.TABLE:
        show_lines(left_out(found["excluded"]))


@app.command("diff", epilog="Example: suture plan diff plan_06c2k8r3c1x7v9h2m4n5p6q7s8")
def diff(ctx: typer.Context, plan: PlanArgument, output: Output = Format.TABLE) -> None:
    """Exactly what would be done (+) and what would undo it (-), one argument a line."""
    found = _plan(api_of(ctx), plan)
    if output is not Format.TABLE:
        return structured({name: found[name] for name in ("id", "digest", "diff", "steps")}, output)
    return show_lines(found["diff"].splitlines())


@app.command("create", epilog="Example: suture plan create inc_06c2k8r3c1x7v9h2m4n5p6q7s8")
def create(
    ctx: typer.Context,
    incident: Annotated[str, typer.Argument(metavar="INCIDENT")],
    strategy: Annotated[str | None, typer.Option(help="The action to take, instead of the likeliest.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Ask for a plan; it waits for `suture plan execute` once it is granted."""
    body = {"incident_id": incident, "strategy": strategy}
    show_item(api_of(ctx).send("POST", "/fix/plan", body).body, PLAN, output)


@app.command("execute", epilog="Example: suture plan execute plan_06c2k8r3c1x7v9h2m4n5p6q7s8")
def execute(ctx: typer.Context, plan: PlanArgument, output: Output = Format.TABLE) -> None:
    """Execute a granted plan; 4 when the workflow has not taken it yet."""
    answer = api_of(ctx).send("POST", "/fix/execute", {"plan_id": path_id(plan, "plan")})
    show_item(answer.body["plan"], PLAN, output)
    finish(Exit.WAITING if answer.is_pending else Exit.OK)


def approvals(
    ctx: typer.Context,
    status: Annotated[str | None, typer.Option(help="open, approved, rejected, expired or withdrawn.")] = "open",
    output: Output = Format.TABLE,
) -> None:
    """What waits for a person."""
    show_list(api_of(ctx).items("/approvals", status=status or None), _APPROVAL, output)


def approve(
    ctx: typer.Context,
    plan: PlanArgument,
    reason: Why = "",
    digest: Annotated[str | None, typer.Option(help="Approve only if the plan is the one with this digest.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Approve a plan. On a terminal it shows the change and asks first; elsewhere it never asks."""
    api = api_of(ctx)
    found = _plan(api, plan)
    if not yes and sys.stdin.isatty() and output is Format.TABLE:
        show_lines([f"{found['summary']}", "", *found["diff"].splitlines(), ""])
        typer.confirm("Approve exactly this?", abort=True)
    _decide(api, found, {"choice": "approve", "notes": reason, "digest": digest or found["digest"]}, output)


def reject(ctx: typer.Context, plan: PlanArgument, reason: Why = "", output: Output = Format.TABLE) -> None:
    """Reject a plan; one no outweighs any number of approvals."""
    api = api_of(ctx)
    found = _plan(api, plan)
    _decide(api, found, {"choice": "reject", "notes": reason, "digest": found["digest"]}, output)


def open_approval(api: Api, plan: str) -> dict[str, Any] | None:
    """The approval that the plan waits for."""
    return next((each for each in api.walk("/approvals", status="open") if each["plan_id"] == plan), None)


def left_out(considered: Iterable[Item]) -> list[str]:
    """What was considered and not chosen."""
    excluded = [f"  {each['action']}: {each['reason']}" for each in considered]
    return ["", "considered and left out:", *excluded] if excluded else []


def _plan(api: Api, plan: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/fix/plans/{path_id(plan, 'plan')}")
    return found


def _decide(api: Api, plan: Item, word: dict[str, str], output: Format) -> None:
    approval = open_approval(api, plan["id"])
    if approval is None:
        step = f"`suture plan show {plan['id']}` says where it stands: {plain(str(plan['status']))}"
        raise CommandError("the plan waits for nobody", next_step=step)
    answer: Answer = api.send("PATCH", f"/approvals/{approval['id']}", word)
    show_item(answer.body, _APPROVAL, output)
    if answer.is_pending:
        typer.echo("next:  stored; it counts as soon as the workflow has taken it: `suture plan show` tells", err=True)
    finish(Exit.WAITING if answer.is_pending else Exit.OK)
