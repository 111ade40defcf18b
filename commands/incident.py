"""`suture incident`: what broke, why we think so, what speaks against it, what is planned and who may allow it."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from commands.client import Api, path_id
from commands.exits import CommandError, Exit
from commands.plan import left_out, open_approval, preflight_of
from commands.session import api_of
from commands.showing import Columns, Format, Item, Output, moment, show_lines, show_list, structured, when

app = typer.Typer(no_args_is_help=True, help="Incidents: what broke, why, and what is done about it.")

IncidentArgument = Annotated[str, typer.Argument(metavar="INCIDENT")]

_LISTED: Columns = {
    "id": "id",
    "status": "status",
    "severity": "severity",
    "environment": "environment",
    "service": "service",
    "title": "title",
    "events": "event_count",
    "last seen": when("last_seen_at"),
}
_TIMELINE: Columns = {
    "seq": "seq",
    "time": when("created_at"),
    "who": lambda item: f"{item['actor_type']} {item['actor_id']}",
    "what": "action",
    "on": lambda item: f"{item['resource_type']} {item['resource_id']}",
}


@app.command("list", epilog="Example: suture incident list --status awaiting_approval")
def list_(
    ctx: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only those that stand so.")] = None,
    service: Annotated[str | None, typer.Option(help="Only those of this service or pipeline.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    output: Output = Format.TABLE,
) -> None:
    """Incidents, the newest first."""
    show_list(api_of(ctx).items("/incidents", limit=limit, status=status, service=service), _LISTED, output)


@app.command("show", epilog="Example: suture incident show inc_06c2k8r3c1x7v9h2m4n5p6q7s8")
def show(ctx: typer.Context, incident: IncidentArgument, output: Output = Format.TABLE) -> None:
    """What broke, why we think so, what speaks against it, what was considered, the plan, who may approve until when."""
    story = _story(api_of(ctx), path_id(incident, "inc"))
    if output is not Format.TABLE:
        return structured(story, output)
    return show_lines(list(_told(story)))


@app.command("timeline", epilog="Example: suture incident timeline inc_06c2k8r3c1x7v9h2m4n5p6q7s8")
def timeline(ctx: typer.Context, incident: IncidentArgument, output: Output = Format.TABLE) -> None:
    """Everything that happened, the oldest first, as the audit log has it."""
    show_list(api_of(ctx).items(f"/incidents/{path_id(incident, 'inc')}/timeline"), _TIMELINE, output)


def _story(api: Api, incident: str) -> dict[str, Any]:
    found = api.get(f"/incidents/{incident}")
    plans = api.get(f"/incidents/{incident}/plans")["items"]
    plans[:1] = [api.get(f"/fix/plans/{each['id']}") for each in plans[:1]]
    approval = open_approval(api, plans[0]["id"]) if plans else None
    return {
        "incident": found,
        "hypotheses": api.get(f"/incidents/{incident}/hypotheses")["items"],
        "evidence": api.get(f"/incidents/{incident}/evidence")["items"],
        "plans": plans,
        "declined": None if plans else _declined(api, incident),
        "approval": approval,
        "may_approve": _approvers(api, approval) if approval else [],
    }


def _declined(api: Api, incident: str) -> Item | None:
    """The planner's decision to make no plan, if it has taken one and the caller may read it."""
    try:
        decisions = api.items(f"/incidents/{incident}/decisions", limit=20)
        return next((each for each in decisions if each["decision_type"] == "plan"), None)
    except CommandError as error:
        if error.code is Exit.DENIED:
            return None
        raise


def _approvers(api: Api, approval: Item) -> list[str]:
    """The names of those who may decide; empty when the caller may not read who is who."""
    try:
        people = api.items("/principals")
    except CommandError as error:
        if error.code is Exit.DENIED:
            return []
        raise
    role, excluded = approval["required_role"], set(approval["excluded"])
    fitting = (each for each in people if each["is_active"] and each["kind"] == "person" and role in each["roles"])
    return [each["name"] for each in fitting if each["id"] not in excluded]


def _told(story: Item) -> Iterator[str]:
    yield from _broke(story["incident"])
    pieces = {each["id"]: each for each in story["evidence"]}
    yield from _section("why we think so", [line for each in story["hypotheses"] for line in _hypothesis(each, pieces)])
    yield from _section("what speaks against it", [line for each in story["hypotheses"] for line in _against(each, pieces)])
    if not story["plans"]:
        declined = story["declined"]
        yield from left_out(declined["explanation_json"].get("excluded", ()) if declined else ())
        yield from _section("the plan", [f"  none: {declined['explanation']}"] if declined else [])
        return
    plan, *older = story["plans"]
    yield from left_out(plan["excluded"])
    yield from _section("the plan", list(_plan(plan)))
    if older:
        yield "  before it: " + ", ".join(f"{each['id']} ({each['status']})" for each in older)
    yield from _section("who may approve", list(_who(story)))


def _broke(incident: Item) -> Iterator[str]:
    place = f"{incident['environment']}/{incident['service']}"
    yield f"{incident['id']}  {incident['status']}  {incident['severity']}  {place}"
    yield ""
    yield f"what broke: {incident['title']}"
    seen = f"{moment(incident['first_seen_at'])} to {moment(incident['last_seen_at'])}"
    yield f"  seen {incident['event_count']} times, {seen}"
    if incident["waiting_runs"]:
        yield f"  waiting for its healing: {', '.join(incident['waiting_runs'])}"


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title}:", *(lines or ["  nothing yet"])]


def _hypothesis(hypothesis: Item, pieces: dict[str, Any]) -> Iterator[str]:
    yield f"  {hypothesis['confidence']:.0%} {hypothesis['cause']}: {hypothesis['statement']}"
    yield from (f"      + {_piece(pieces.get(each))}" for each in hypothesis["support"])


def _against(hypothesis: Item, pieces: dict[str, Any]) -> Iterator[str]:
    if hypothesis["counter"] or hypothesis["why_not"]:
        yield f"  {hypothesis['cause']}: {hypothesis['why_not'] or ''}".rstrip(": ")
        yield from (f"      - {_piece(pieces.get(each))}" for each in hypothesis["counter"])


def _piece(piece: Item | None) -> str:
    if piece is None:
        return "evidence that is not shown any more"
    return f"[{piece['kind']}] {' '.join(str(piece['excerpt']).split())[:300]}"


def _plan(plan: Item) -> Iterator[str]:
    yield f"  {plan['id']}  {plan['status']}  {plan['action']}, risk {plan['risk']}, {plan['reversibility']}"
    yield f"  {plan['summary']}"
    yield f"  why: {plan['why']}"
    yield f"  preflight: {preflight_of(plan) or 'not done yet'}"
    yield f"  exactly: suture plan diff {plan['id']}"


def _who(story: Item) -> Iterator[str]:
    approval = story["approval"]
    if approval is None:
        yield "  nobody is asked now"
        return
    names = f": {', '.join(story['may_approve'])}" if story["may_approve"] else ""
    yield f"  {approval['quorum']} of role {approval['required_role']}{names}; not who had a hand in it"
    yield f"  until {moment(approval['decide_by'])}; silence is a no"
    yield f"  suture approve {approval['plan_id']} --reason '...'"
