"""Find the programs we run: by setting, PATH, cache, vendor's download, build from Go modules, in that order."""

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import Field

from domain.base import Value
from domain.errors import UnavailableError
from stack import build, vendor
from stack.command import hear

Report = Callable[[str], None]

_VERSION_WITHIN = timedelta(seconds=10)


class Tool(StrEnum):
    TEMPORAL = "temporal"
    OPA = "opa"


class Recipe(Value):
    """What is needed to recognise and to build one version of a tool.

    `proof` is printed by `version` and by no other release; a self-built Temporal CLI knows only its server's version.
    """

    version: str
    ask: tuple[str, ...]
    proof: str
    package: str
    tags: tuple[str, ...] = ()


RECIPES = {
    Tool.TEMPORAL: Recipe(
        version="1.9.1", ask=("--version",), proof="Server 1.32.0", package="github.com/temporalio/cli/cmd/temporal"
    ),
    Tool.OPA: Recipe(
        version="1.22.0",
        ask=("version",),
        proof="Version: 1.22.0",
        package="github.com/open-policy-agent/opa",
        tags=("opa_no_oci",),
    ),
}


class Found(StrEnum):
    """Where a tool came from."""

    SETTING = "setting"
    PATH = "path"
    CACHE = "cache"
    DOWNLOAD = "download"
    BUILD = "build"


class Location(Value):
    path: Path
    found: Found


class Search(Value):
    """Where to look. `modules` is the folder with one Go module per tool; `explicit` ends the search."""

    modules: Path
    cache: Path
    explicit: Mapping[Tool, Path] = Field(default_factory=dict)
    path: str = os.defpath
    download: bool = True
    go: str = "go"


def default_cache() -> Path:
    """The folder in the user's cache where tools are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "suture" / "bin"


async def find(tool: Tool, search: Search, report: Report) -> Location:
    """The program, fetched or built when it must be.

    Raises:
        UnavailableError: nothing worked; the message names the command that helps.
    """
    if (location := await look(tool, search)) is not None:
        return location
    target = cached(tool, search)
    target.parent.mkdir(parents=True, exist_ok=True)
    async with build.alone(target, report):
        if await _is_right(tool, target):
            return Location(path=target, found=Found.CACHE)
        if search.download and await _download(tool, target, report):
            return Location(path=target, found=Found.DOWNLOAD)
        await _build(tool, target, search, report)
        return Location(path=target, found=Found.BUILD)


async def look(tool: Tool, search: Search) -> Location | None:
    """The program when it is here already.

    Raises:
        UnavailableError: the setting names something that is not this version of the tool.
    """
    if explicit := search.explicit.get(tool):
        if await _is_right(tool, explicit):
            return Location(path=explicit, found=Found.SETTING)
        raise UnavailableError(f"{explicit} is set as {tool}, but does not run as version {RECIPES[tool].version}")
    on_path = shutil.which(tool, path=search.path)
    if on_path and await _is_right(tool, Path(on_path)):
        return Location(path=Path(on_path), found=Found.PATH)
    target = cached(tool, search)
    return Location(path=target, found=Found.CACHE) if await _is_right(tool, target) else None


def cached(tool: Tool, search: Search) -> Path:
    return search.cache / f"{tool}-{RECIPES[tool].version}"


def build_command(tool: Tool, search: Search) -> tuple[str, ...]:
    """The command, run in the tool's module folder, that puts the program into the cache."""
    recipe = RECIPES[tool]
    tags = ("-tags", ",".join(recipe.tags)) if recipe.tags else ()
    flags = ("-trimpath", "-ldflags", "-s -w", *tags)
    return (search.go, "build", *flags, "-o", str(cached(tool, search)), recipe.package)


async def _is_right(tool: Tool, program: Path) -> bool:
    """Whether `program` runs and says that it is the version we want."""
    recipe = RECIPES[tool]
    if not os.access(program, os.X_OK):
        return False
    try:
        said = await hear(str(program), *recipe.ask, within=_VERSION_WITHIN)
    except (OSError, TimeoutError):
        return False
    return recipe.proof in said.text


async def _download(tool: Tool, target: Path, report: Report) -> bool:
    report(f"{tool} {RECIPES[tool].version}: asking the vendor")
    fetch = {Tool.TEMPORAL: vendor.fetch_temporal, Tool.OPA: vendor.fetch_opa}[tool]
    try:
        await fetch(RECIPES[tool].version, target, report)
    except UnavailableError as error:
        report(f"{tool}: {error}")
        return False
    if await _is_right(tool, target):
        return True
    _discard(target)
    report(f"{tool}: the vendor's program does not run as version {RECIPES[tool].version}")
    return False


async def _build(tool: Tool, target: Path, search: Search, report: Report) -> None:
    module = search.modules / tool
    command = build_command(tool, search)
    await build.compile_program(command, module=module, target=target, report=report)
    if not await _is_right(tool, target):
        _discard(target)
        raise UnavailableError(f"{tool} was built and does not run; run: {build.by_hand(command, module)}")


def _discard(program: Path) -> None:
    program.unlink(missing_ok=True)
