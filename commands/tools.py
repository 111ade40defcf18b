"""`python -m commands.tools` fetches every tool before it is needed; `… publish FOLDER` writes a policy bundle."""

import asyncio
import shutil
import sys
from pathlib import Path

import typer

import settings
from commands.doctor import ROOT, search
from commands.exits import Exit
from domain.errors import HealError, InvalidError
from stack.bundle import Bundle, Sources
from stack.policy import write_config
from stack.tools import Search, Tool, find


async def fetch(tools: Search) -> None:
    """Every tool, one after the other: two builds at once need more memory than a small machine has."""
    for tool in Tool:
        location = await find(tool, tools, _say)
        _say(f"{tool}: {location.path} ({location.found})")


async def publish(folder: Path, *, private: Path, tools: Search) -> str:
    """Put the signed policy bundle into `folder`, with the config of a server that loads it; the key stays in `private`.

    Raises:
        InvalidError: the policies do not build and no earlier bundle exists.
        UnavailableError: there is no OPA, and none can be had.
    """
    opa = await find(Tool.OPA, tools, _say)
    bundle = Bundle(opa.path, Sources(rego=ROOT / "policies" / "rego", data=ROOT / "policies" / "data"), private)
    built = await bundle.build()
    _lay_out(bundle, folder)
    return built.revision


def main() -> int:
    try:
        chosen = settings.load()
        chosen.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        asyncio.run(_run(sys.argv[1:], chosen))
    except HealError as error:
        _say(f"error: {error}")
        return Exit.FAILED
    return Exit.OK


async def _run(words: list[str], chosen: settings.Settings) -> None:
    match words:
        case []:
            await fetch(search(chosen))
        case ["publish", folder]:
            revision = await publish(Path(folder), private=chosen.data / "policy", tools=search(chosen))
            _say(f"policy bundle {revision[:12]} is in {folder}")
        case _:
            raise InvalidError(f"expected nothing or `publish FOLDER`, got {' '.join(words)}")


def _lay_out(bundle: Bundle, folder: Path) -> None:
    place = folder.absolute() / bundle.path.name
    shutil.copyfile(bundle.path, place)
    write_config(place.with_name("config.json"), bundle=place, public_key=bundle.public_key())


def _say(line: str) -> None:
    typer.echo(line, err=True)


if __name__ == "__main__":
    sys.exit(main())
