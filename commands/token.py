"""`suture token`: let a principal in, and shut it out again."""

from datetime import timedelta
from typing import Annotated

import typer

from commands.client import path_id
from commands.session import api_of
from commands.showing import Columns, Format, Output, show_item, show_list, structured, when

app = typer.Typer(no_args_is_help=True, help="Tokens: a secret shown once, with scopes and an end.")

_SHOWN: Columns = {
    "id": "id",
    "principal": "principal",
    "scopes": "scopes",
    "created": when("created_at"),
    "expires": when("expires_at"),
    "last used": when("last_used_at"),
    "revoked": when("revoked_at"),
}


@app.command("create", epilog="Example: suture token create --principal prn_06c2k8r3c1x7v9h2m4n5p6q7s8 --days 30")
def create(
    ctx: typer.Context,
    principal: Annotated[str | None, typer.Option(help="For whom; else for yourself.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="`noun:*` or `noun.verb`, once for each; else everything.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3660, help="How long it counts; else until it is revoked.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a token. Standard output holds the secret alone, so that it can go straight into a file."""
    body = {
        "principal": path_id(principal, "prn") if principal else None,
        "scopes": scope or ["*"],
        "expires_in": timedelta(days=days).total_seconds() if days else None,
    }
    made = api_of(ctx).send("POST", "/tokens", body).body
    if output is not Format.TABLE:
        return structured(made, output)
    typer.echo(f"{made['token']['id']}: shown once, so keep it now", err=True)
    return typer.echo(made["secret"])


@app.command("list", epilog="Example: suture token list")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Every token, without its secret."""
    show_list(api_of(ctx).items("/tokens"), _SHOWN, output)


@app.command("revoke", epilog="Example: suture token revoke tok_06c2k8r3c1x7v9h2m4n5p6q7s8")
def revoke(ctx: typer.Context, token: Annotated[str, typer.Argument(metavar="TOKEN")], output: Output = Format.TABLE) -> None:
    """From now on it counts no more."""
    show_item(api_of(ctx).send("DELETE", f"/tokens/{path_id(token, 'tok')}").body, _SHOWN, output)
