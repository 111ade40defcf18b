"""Every command explains itself, with an example that names it."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cli import app
from tests.unit.cli.conftest import Suture


def commands(found: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in getattr(found, "commands", {}).items():
        yield from commands(command, *path, name)
    if path and not hasattr(found, "commands"):
        yield path, found


EVERY = dict(commands(typer.main.get_command(app)))
ASKED = """up demo doctor ui approve reject; pipeline apply run list show; incident list show timeline; plan show diff;
recovery list replay; kill-switch list engage release automatic; audit verify export; principal list create;
token create revoke list; secret set rotate-key; environment list create; platform verify; run list show"""


@pytest.mark.parametrize("path", EVERY)
def test_help_shows_an_example(path: tuple[str, ...], suture: Suture):
    """`--help` ends with 0 and shows how the command is written."""
    found = suture(*path, "--help", COLUMNS="200")
    assert found.exit_code == 0
    assert f"Example: suture {' '.join(path)}" in found.stdout
    assert EVERY[path].help


def test_every_command_that_was_promised_exists():
    """The words people were told are there."""
    top, *nouns = (part.split() for part in ASKED.split(";"))
    wanted = {(name,) for name in top} | {(noun, verb) for noun, *verbs in nouns for verb in verbs}
    wanted |= {("platform", "org", verb) for verb in ("create", "list", "activate", "deactivate")}
    assert wanted | {("platform", "switch", verb) for verb in ("engage", "release")} <= set(EVERY)
