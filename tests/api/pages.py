"""The pages of `docs/connect` as their readers use them: block by block, filled in as they are told."""

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.adapters.sources.pages import PAGES

WITHIN_S = 60
_NEEDED = ("bash", "curl", "openssl")
_WORDS = re.compile(r"(?<![A-Z_])(?:SUTURE|ENDPOINT)(?![A-Z_])|(?<![A-Z_])ENDPOINT(?=_SECRET)|(?<![A-Z])SECRET(?![A-Z])")


def blocks(page: str, language: str) -> list[str]:
    """The blocks of this language on the page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)


def filled(block: str, served: str, made: dict[str, Any]) -> str:
    """The block for this connector; words of the sender's own that hold such a word stay."""
    words = {"SUTURE": served.removeprefix("http://").partition("/")[0]}
    words |= {"ENDPOINT": made["connector"]["endpoint"], "SECRET": made["secret"]}
    return _WORDS.sub(lambda found: words[found[0]], block)


async def run(script: str, folder: Path, **env: str) -> str:
    """What the block prints, run in `folder` as a person runs it; a machine without the programs for it skips the test."""
    if missing := [program for program in _NEEDED if shutil.which(program) is None]:
        pytest.skip(f"no {', '.join(missing)} on this machine, so nobody can follow the page")
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euc",
        script,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)} | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()
    return said.decode()
