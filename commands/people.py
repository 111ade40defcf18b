"""`suture principal`: the people and service accounts of the org."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from commands.client import path_id
from commands.exits import CommandError, Exit
from commands.session import api_of
from commands.showing import Columns, Format, Output, show_item, show_list
from domain.identity import Kind, Role

app = typer.Typer(no_args_is_help=True, help="The people and service accounts of the org.")

Roles = Annotated[list[Role] | None, typer.Option("--role", help="Once for each role.")]
PrincipalArgument = Annotated[str, typer.Argument(metavar="PRINCIPAL")]

_SHOWN: Columns = {
    "id": "id",
    "name": "name",
    "kind": "kind",
    "roles": lambda item: sorted(item["roles"]),
    "email": "email",
    "owner": "owner",
    "active": "is_active",
}


class State(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"


@app.command("list", epilog="Example: suture principal list")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Everybody, and what they may."""
    show_list(api_of(ctx).items("/principals"), _SHOWN, output)


@app.command("me", epilog="Example: suture principal me")
def me(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Whoever the token stands for."""
    show_item(api_of(ctx).get("/principals/me"), _SHOWN, output)


@app.command("create", epilog="Example: suture principal create 'Ada Approver' --role viewer --role approver")
def create(
    ctx: typer.Context,
    name: str,
    role: Roles = None,
    email: Annotated[str | None, typer.Option()] = None,
    kind: Annotated[Kind, typer.Option(help="A service account names its owner and never approves.")] = Kind.PERSON,
    owner: Annotated[str | None, typer.Option(help="The person who answers for a service account.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Add a person or a service account; `suture token create` lets them in."""
    body = {"name": name, "kind": kind, "roles": sorted(set(role or ())), "email": email, "owner": owner}
    show_item(api_of(ctx).send("POST", "/principals", body).body, _SHOWN, output)


@app.command("change", epilog="Example: suture principal change prn_06c2k8r3c1x7v9h2m4n5p6q7s8 --role viewer --state active")
def change(
    ctx: typer.Context,
    principal: PrincipalArgument,
    role: Roles = None,
    state: Annotated[State | None, typer.Option(help="The tokens of an inactive one do not count.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Change roles, all at once, or whether they may come in at all."""
    wanted: dict[str, Any] = {} if role is None else {"roles": sorted(set(role))}
    wanted |= {} if state is None else {"is_active": state is State.ACTIVE}
    if not wanted:
        raise CommandError("nothing to change", code=Exit.USAGE, next_step="name --role or --state")
    show_item(api_of(ctx).send("PATCH", f"/principals/{path_id(principal, 'prn')}", wanted).body, _SHOWN, output)
