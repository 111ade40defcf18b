"""`suture environment` and `suture secret`: where pipelines live, and what their stages may know."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from commands.exits import CommandError, Exit
from commands.session import api_of
from commands.showing import Columns, Format, Output, show_item, show_list
from domain.base import Name
from domain.pipeline import SecretName

environments = typer.Typer(no_args_is_help=True, help="Where pipelines live, and whether people have to agree there.")
secrets = typer.Typer(no_args_is_help=True, help="Secrets of stages: written, replaced, never shown.")

_LARGEST = 65_536
_SHOWN: Columns = {"name": "name", "production": "is_production"}
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_SECRET: TypeAdapter[str] = TypeAdapter(SecretName)


@environments.command("list", epilog="Example: suture environment list")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Every environment."""
    show_list(api_of(ctx).get("/environments")["items"], _SHOWN, output)


@environments.command("create", epilog="Example: suture environment create qa --not-production")
def create(
    ctx: typer.Context,
    name: str,
    production: Annotated[
        bool, typer.Option("--production/--not-production", help="Whether changes wait for a person.")
    ] = True,
    output: Output = Format.TABLE,
) -> None:
    """Add one; a worker must serve its queue, see SUTURE_ENVIRONMENTS."""
    body = {"name": name, "is_production": production}
    show_item(api_of(ctx).send("POST", "/environments", body).body, _SHOWN, output)


@secrets.command("set", epilog="Example: suture secret set prod target-dsn < dsn.txt")
def set_(
    ctx: typer.Context,
    environment: str,
    name: str,
    file: Annotated[Path | None, typer.Option(help="Read it from here instead of standard input.")] = None,
) -> None:
    """Store or replace a secret. It never stands on the command line, where others could read it."""
    path = f"/secrets/{_checked(_NAME, environment, 'environment')}/{_checked(_SECRET, name, 'secret')}"
    api_of(ctx).send("PUT", path, {"value": _value(file)})
    typer.echo(f"{name} is kept; the next stage in {environment} that asks gets it", err=True)


@secrets.command("rotate-key", epilog="Example: suture secret rotate-key")
def rotate_key(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Give the org a fresh data key and seal every secret again under it. Nothing restarts, and old histories stay readable."""
    show_item(api_of(ctx).send("POST", "/secrets/rotate-key").body, {"current key": "key_id"}, output)


def _value(file: Path | None) -> str:
    if file is None and sys.stdin.isatty():
        return str(typer.prompt("value", hide_input=True))
    raw = sys.stdin.buffer.read(_LARGEST + 2) if file is None else _start_of(file)
    try:
        value = raw.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise CommandError("the secret is not UTF-8", code=Exit.USAGE, next_step="encode it, for example with base64") from None
    if not value or len(raw) > _LARGEST:
        sentence = f"expected a secret of 1 to {_LARGEST} bytes"
        raise CommandError(sentence, code=Exit.USAGE, next_step="suture secret set ENVIRONMENT NAME < FILE")
    return value


def _start_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_LARGEST + 2)


def _checked(adapter: TypeAdapter[str], value: str, what: str) -> str:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        step = "lower-case letters, digits and hyphens"
        raise CommandError(f"that is no name of an {what}", code=Exit.USAGE, next_step=step) from None
