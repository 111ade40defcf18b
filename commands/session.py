"""Which stack a command talks to, and with which token: options first, then settings, then the data directory."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr, ValidationError

import settings
from commands.client import Api
from commands.exits import CommandError, Exit
from domain.base import Value

_SYSTEM = Path("/var/lib/suture")

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Where the stack keeps its state; else SUTURE_DATA, else a folder of the user.")
]


class Connection(Value):
    """What `suture up` leaves in its data directory for other commands."""

    api_url: str
    ui_url: str | None = None


class Given(Value):
    """What stood before the noun on the command line."""

    data: Path | None = None
    token_file: Path | None = None
    api_url: str | None = None


def remember(ctx: typer.Context, given: Given) -> None:
    ctx.obj = given


def given_in(ctx: typer.Context) -> Given:
    return ctx.obj if isinstance(ctx.obj, Given) else Given()


def data_directory(given: Path | None, chosen: settings.Settings) -> Path:
    """Where the stack keeps its state."""
    if given is not None:
        return given.expanduser().absolute()
    if "data" in chosen.model_fields_set or os.geteuid() != 0:
        return chosen.data.absolute()
    return _SYSTEM


def connection_file(data: Path) -> Path:
    return data / "connection.json"


def keep_connection(data: Path, connection: Connection) -> None:
    """Leave it for other commands, readable by its owner alone."""
    path = connection_file(data)
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(connection.model_dump_json())
    draft.replace(path)


def connection_of(ctx: typer.Context) -> Connection:
    """Raises CommandError: nothing says where the API is."""
    chosen, given = settings.load(), given_in(ctx)
    ui_url = chosen.temporal_ui_url
    if given.api_url is not None:
        return Connection(api_url=given.api_url, ui_url=ui_url)
    if "api_url" in chosen.model_fields_set:
        return Connection(api_url=chosen.api_url, ui_url=ui_url)
    return _left(data_directory(given.data, chosen))


def api_of(ctx: typer.Context) -> Api:
    """The API that the command line, the settings or a running stack name.

    Raises:
        CommandError: no address or no token.
    """
    connection = connection_of(ctx)
    return Api(connection.api_url, _token(ctx, connection))


def _left(data: Path) -> Connection:
    path = connection_file(data)
    try:
        return Connection.model_validate(json.loads(path.read_text()))
    except FileNotFoundError:
        step = "`suture up` starts it; or set SUTURE_API_URL or SUTURE_DATA to reach another one"
        raise CommandError(f"no stack runs in {data}", next_step=step) from None
    except (ValueError, ValidationError):
        raise CommandError(f"{path} is not what `suture up` wrote", next_step="remove it, then `suture up`") from None


def _token(ctx: typer.Context, connection: Connection) -> SecretStr:
    """The first admin's token goes to the stack it was made by and nowhere else."""
    chosen, given = settings.load(), given_in(ctx)
    if given.token_file is not None:
        return _read(given.token_file)
    if chosen.token is not None:
        return _checked(chosen.token.get_secret_value(), "SUTURE_TOKEN")
    data = data_directory(given.data, chosen)
    path = data / "admin.token"
    if path.is_file() and connection_file(data).is_file() and _left(data).api_url == connection.api_url:
        return _read(path)
    step = "set SUTURE_TOKEN, or name a file with --token-file; an admin makes one with `suture token create`"
    raise CommandError(f"no token for {connection.api_url}", next_step=step)


def _read(path: Path) -> SecretStr:
    try:
        return _checked(path.read_text(), str(path))
    except UnicodeDecodeError:
        return _checked("", str(path))


def _checked(text: str, source: str) -> SecretStr:
    token = text.strip()
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        step = "a token is one word that begins with sut_"
        raise CommandError(f"{source} does not hold a token", code=Exit.USAGE, next_step=step)
    return SecretStr(token)
