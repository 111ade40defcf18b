"""What the doctor finds, and the command it prescribes."""

import re
import sys
from pathlib import Path

import pytest

from stack.doctor import Finding, Subject, examine
from stack.tools import Search

COMMAND = re.compile(r"(apt-get install|make|unset|export|chmod|chown|ulimit) \S")


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    """A machine with an empty PATH and an empty cache."""
    tools = Search(modules=tmp_path / "tools", cache=tmp_path / "cache", path=str(tmp_path / "bin"))
    return Subject(tools=tools, data=tmp_path / "data" / "suture", code=Path(__file__).parents[3])


async def findings(subject: Subject) -> dict[str, Finding]:
    return {finding.name: finding for finding in await examine(subject)}


def install(subject: Subject, name: str, says: str) -> None:
    program = Path(subject.tools.path) / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


async def test_everything_missing_comes_with_a_remedy(subject: Subject) -> None:
    """On an empty machine each missing program is a finding with a command that can be typed as it stands."""
    found = await findings(subject)
    missing = {name for name, finding in found.items() if not finding.ok}
    assert missing >= {"node", "go", "git", "make", "temporal", "opa"}
    assert {name: found[name].mend for name in missing if not COMMAND.match(found[name].mend)} == {}
    assert {found[name].mend for name in ("temporal", "opa")} == {"make tools"}


async def test_what_is_there_is_well(subject: Subject) -> None:
    """Python, the wheel, a directory yet to be made and an installed tool are fine."""
    install(subject, "opa", "Version: 1.22.0")
    found = await findings(subject)
    assert all(found[name].ok for name in ("python", "postgresql", "data directory", "opa"))
    assert "(path)" in found["opa"].detail


@pytest.mark.parametrize(("version", "ok"), [("1.19.8", False), ("1.21.0", True), ("1.26.8", True)])
async def test_go_must_fetch_its_own_toolchain(subject: Subject, version: str, ok: bool) -> None:
    """Debian's Go 1.19 is too old; from 1.21 on Go fetches what a module asks for."""
    install(subject, "go", f"go version go{version} linux/amd64")
    assert (await findings(subject))["go"].ok is ok


async def test_setting_that_is_wrong_is_found(subject: Subject) -> None:
    """A setting that names another program is a finding that repeats the setting."""
    tools = subject.tools.model_copy(update={"explicit": {"opa": Path(sys.executable)}})
    finding = (await findings(subject.model_copy(update={"tools": tools})))["opa"]
    assert not finding.ok
    assert sys.executable in finding.detail
    assert finding.mend == "unset SUTURE_OPA_PATH; make tools"


async def test_examining_changes_nothing(subject: Subject, tmp_path: Path) -> None:
    """The doctor creates neither the data directory nor the cache."""
    await examine(subject)
    assert list(tmp_path.iterdir()) == []
