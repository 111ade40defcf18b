"""`python -m stack` fetches every tool before anything needs it; `python -m stack publish FOLDER` writes the policy bundle."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import settings
from domain.errors import HealError, InvalidError
from stack.bundle import Bundle, Sources
from stack.policy import write_config
from stack.tools import Search, Tool, default_cache, find

_ROOT = Path(__file__).resolve().parent.parent


def search(chosen: settings.Settings) -> Search:
    """Where the settings say that tools are looked for."""
    named = {Tool.TEMPORAL: chosen.temporal_path, Tool.OPA: chosen.opa_path}
    return Search(
        modules=_ROOT / "tools",
        cache=default_cache(),
        explicit={tool: path for tool, path in named.items() if path is not None},
        path=os.environ.get("PATH", os.defpath),
        download=chosen.download,
    )


async def fetch(where: Search) -> None:
    """Every tool, one after the other: two builds at once need more memory than a small machine has."""
    for tool in Tool:
        location = await find(tool, where, _say)
        _say(f"{tool}: {location.path} ({location.found})")


async def publish(folder: Path, *, private: Path, tools: Search) -> str:
    """Put the signed policy bundle into `folder`, with the config of a server that loads it; the key stays in `private`.

    Raises:
        InvalidError: the policies do not build and no earlier bundle exists.
        UnavailableError: there is no OPA, and none can be had.
    """
    opa = await find(Tool.OPA, tools, _say)
    bundle = Bundle(opa.path, Sources(rego=_ROOT / "policies" / "rego", data=_ROOT / "policies" / "data"), private)
    built = await bundle.build()
    _lay_out(bundle, folder)
    return built.revision


def _lay_out(bundle: Bundle, folder: Path) -> None:
    place = folder.absolute() / bundle.path.name
    shutil.copyfile(bundle.path, place)
    write_config(place.with_name("config.json"), bundle=place, public_key=bundle.public_key())


async def run(words: list[str], chosen: settings.Settings) -> None:
    match words:
        case []:
            await fetch(search(chosen))
        case ["publish", folder]:
            revision = await publish(Path(folder), private=chosen.data / "policy", tools=search(chosen))
            _say(f"policy bundle {revision[:12]} is in {folder}")
        case _:
            raise InvalidError(f"expected nothing or `publish FOLDER`, got {' '.join(words)}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    try:
        chosen = settings.load()
        chosen.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        asyncio.run(run(sys.argv[1:], chosen))
    except HealError as error:
        _say(f"stack: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
