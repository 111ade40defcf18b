"""`suture pipeline`: apply a file with its code, run it, look at it."""

import base64
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.pipeline_file import load
from commands.client import Api, is_id
from commands.exits import CommandError, Exit, finish
from commands.run import RUN, ended, follow
from commands.session import api_of
from commands.showing import Columns, Format, Output, show_item, show_list, when
from domain.errors import PipelineFileError

app = typer.Typer(no_args_is_help=True, help="Pipelines: apply a file, run it, look at it.")

_MOST_FILES = 2_000
_MOST_BYTES = 8 * 1024 * 1024
_LEFT_OUT = frozenset({"__pycache__", ".git", ".venv"})

Which = Annotated[str, typer.Argument(metavar="PIPELINE", help="Its name or id.")]
In = Annotated[str | None, typer.Option("--environment", "-e", help="Where, when one name stands in several.")]

_LISTED: Columns = {
    "id": "id",
    "name": "name",
    "environment": "environment",
    "version": "version",
    "active": "is_active",
    "updated": when("updated_at"),
}
_SHOWN: Columns = {**_LISTED, "owner": "owner_id", "created": when("created_at"), "config": "config_json"}
_VERSIONS: Columns = {
    "version": "version",
    "origin": "origin",
    "restores": "restores",
    "author": "author_id",
    "created": when("created_at"),
    "digest": lambda item: str(item["digest"])[:12],
}


@app.command("apply", epilog="Example: suture pipeline apply demo/ad_cost/pipeline.yaml")
def apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The pipeline file; its `code` folder is sent along.")],
    output: Output = Format.TABLE,
) -> None:
    """Create the pipeline of a file, or give it a next version; the same content again changes nothing."""
    spec = load(_text(file), file=str(file))
    code = dict(_code(file.parent / spec.code, file=file))
    body = {"spec": spec.model_dump(mode="json"), "code": code}
    show_item(api_of(ctx).send("POST", "/pipelines", body).body, _SHOWN, output)


@app.command("run", epilog="Example: suture pipeline run ad-cost --wait")
def run(
    ctx: typer.Context,
    pipeline: Which,
    environment: In = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended or waits for its healing.")] = False,
    within: Annotated[float, typer.Option(help="How many seconds --wait stays.", min=1, max=86_400)] = 600,
    output: Output = Format.TABLE,
) -> None:
    """Start a run of the current version. With --wait: 0 succeeded, 1 failed, 4 waits for its healing."""
    api = api_of(ctx)
    execution = api.send("POST", f"/pipelines/{find(api, pipeline, environment)['id']}/runs").body
    if wait:
        execution = follow(api, execution["id"], within=timedelta(seconds=within))
    show_item(execution, RUN, output)
    if wait and execution["incident_id"]:
        typer.echo(f"next:  suture incident show {execution['incident_id']}", err=True)
    finish(ended(execution) if wait else Exit.OK)


@app.command("list", epilog="Example: suture pipeline list -o json")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Every pipeline of the org."""
    show_list(api_of(ctx).items("/pipelines"), _LISTED, output)


@app.command("show", epilog="Example: suture pipeline show ad-cost")
def show(ctx: typer.Context, pipeline: Which, environment: In = None, output: Output = Format.TABLE) -> None:
    """One pipeline with its config."""
    show_item(find(api_of(ctx), pipeline, environment), _SHOWN, output)


@app.command("versions", epilog="Example: suture pipeline versions ad-cost")
def versions(ctx: typer.Context, pipeline: Which, environment: In = None, output: Output = Format.TABLE) -> None:
    """What the pipeline was, the newest first, and who changed it."""
    api = api_of(ctx)
    show_list(api.get(f"/pipelines/{find(api, pipeline, environment)['id']}/versions")["items"], _VERSIONS, output)


def find(api: Api, pipeline: str, environment: str | None) -> dict[str, Any]:
    """The pipeline called so.

    Raises:
        CommandError: none is, or several are.
    """
    if is_id(pipeline, "pip"):
        found: dict[str, Any] = api.get(f"/pipelines/{pipeline}")
        return found
    named = [each for each in api.walk("/pipelines") if each["name"] == pipeline]
    fitting = [each for each in named if environment in {None, each["environment"]}]
    if not fitting:
        raise CommandError(
            f"no pipeline {pipeline}", code=Exit.NOT_FOUND, next_step="`suture pipeline list` shows what there is"
        )
    if len(fitting) > 1:
        places = ", ".join(sorted(str(each["environment"]) for each in fitting))
        raise CommandError(f"{pipeline} stands in {places}", code=Exit.USAGE, next_step="name one with --environment")
    return fitting[0]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PipelineFileError(f"{file}: byte {error.start} is not UTF-8") from None


def _code(folder: Path, *, file: Path) -> Iterator[tuple[str, str]]:
    """The files below `folder`, by relative path, in base64; links and what Python leaves behind stay out."""
    if not folder.is_dir():
        raise PipelineFileError(f"{file}: code: {folder} is no folder")
    total = 0
    for count, path in enumerate(_files(folder), start=1):
        total += path.stat().st_size
        if count > _MOST_FILES or total > _MOST_BYTES:
            raise PipelineFileError(f"{file}: code: expected at most {_MOST_FILES} files of {_MOST_BYTES} bytes together")
        yield path.relative_to(folder).as_posix(), base64.b64encode(path.read_bytes()).decode()


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        yield from (path for name in sorted(names) if not (path := Path(parent) / name).is_symlink() and path.is_file())
