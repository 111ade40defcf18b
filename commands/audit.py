"""`suture audit`: is the ledger whole, and a copy of it that anybody can check without us."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.signing import verified
from commands.exits import CommandError, Exit, finish
from commands.session import api_of
from commands.showing import Columns, Format, Item, Output, show_item, show_list, when
from domain.checkpoint import NOTE_LIMIT, Checkpoint, key_of, parse
from domain.ledger_pack import LINE_LIMIT, verify_pack

app = typer.Typer(no_args_is_help=True, help="The audit log: whole, exported, verified without us.")


def _fault(found: Item) -> str | None:
    fault = found["fault"]
    return f"entry {fault['seq']}, {fault['reason']}: {fault['message']}" if fault else None


_FOUND: Columns = {
    "whole": lambda item: item["fault"] is None,
    "entries": "size",
    "signed": "signed",
    "head": "head",
    "fault": _fault,
}
_ENTRY: Columns = {
    "seq": "seq",
    "time": when("created_at"),
    "actor": "actor_id",
    "action": "action",
    "on": lambda item: f"{item['resource_type']} {item['resource_id']}",
    "incident": "incident_id",
}


@app.command("list", epilog="Example: suture audit list --action approval.approved")
def list_(
    ctx: typer.Context,
    action: Annotated[str | None, typer.Option(help="Only entries of this action.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    output: Output = Format.TABLE,
) -> None:
    """Entries, the newest first."""
    show_list(api_of(ctx).items("/audit-logs", limit=limit, action=action), _ENTRY, output)


@app.command("verify", epilog="Example: suture audit verify --file audit.jsonl --checkpoint audit.note --key audit.key")
def verify(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Option(help="An exported log, checked here without asking anybody.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A signed note; without one a cut tail cannot be told.")] = None,
    key: Annotated[Path | None, typer.Option(help="The signer's public key, from somebody you trust.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Walk the whole chain; the first bad entry is named and the exit code is 1."""
    if file is None and (checkpoint or key):
        raise CommandError("a checkpoint needs the log it is about", code=Exit.USAGE, next_step="name it with --file")
    found = api_of(ctx).get("/audit-logs/verify") if file is None else _offline(file, checkpoint, key)
    show_item(found, _FOUND, output)
    finish(Exit.OK if found["fault"] is None else Exit.FAILED)


@app.command("export", epilog="Example: suture audit export audit.jsonl")
def export(ctx: typer.Context, file: Annotated[Path, typer.Argument(help="Where to; it must not exist yet.")]) -> None:
    """Write the log to FILE, a signed checkpoint beside it (.note) and the signer's key (.key)."""
    api = api_of(ctx)
    signed = api.send("POST", "/audit-logs/checkpoint").body
    with _fresh(file) as target, api.stream("/audit-logs/export") as pieces:
        for piece in pieces:
            target.write(piece)
    note, key = file.with_suffix(".note"), file.with_suffix(".key")
    _write(note, signed["note"])
    _write(key, f"{signed['key']}\n")
    typer.echo(f"{file}, {note} and {key} are written")
    typer.echo(f"next:  suture audit verify --file {file} --checkpoint {note} --key {key}", err=True)


def _offline(file: Path, checkpoint: Path | None, key: Path | None) -> dict[str, Any]:
    if (checkpoint is None) != (key is None):
        raise CommandError("a checkpoint counts only with its signer's key", code=Exit.USAGE, next_step="name both or none")
    points = [_checkpoint(checkpoint, key)] if checkpoint and key else []
    return verify_pack(_lines(file), points).model_dump(mode="json")


def _checkpoint(note: Path, key: Path) -> Checkpoint:
    signer = key_of(_text(key))
    return parse(_text(note), key=signer, verify=partial(verified, signer.public_key))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(4 * NOTE_LIMIT).decode(errors="replace")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.readline(LINE_LIMIT + 1), b"")


def _fresh(path: Path) -> Any:
    """A file that only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(f"{path} exists already", next_step="name another file, or remove it first") from None
    return os.fdopen(descriptor, "wb")


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with _fresh(path) as file:
        file.write(text.encode())
