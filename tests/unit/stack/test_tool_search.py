"""Where programs come from, in which order, and that they appear whole."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from domain.errors import UnavailableError
from stack import build
from stack.tools import RECIPES, Found, Search, Tool, build_command, cached, find, look

SAYS_OPA = 'echo "Version: 1.22.0"'
GO = """
while [ "$1" != "-o" ]; do shift; done
echo built >> "$(dirname "$2")/count"
sleep 0.3
printf '#!/bin/sh\\n{script}\\n' > "$2"
chmod +x "$2"
"""


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def search(tmp_path: Path) -> Search:
    module = tmp_path / "tools" / "opa"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module example\n")
    return Search(
        modules=tmp_path / "tools", cache=tmp_path / "cache", path=str(tmp_path / "bin"), download=False, go="no-such-go"
    )


def with_go(search: Search, tmp_path: Path, script: str) -> Search:
    go = program(tmp_path / "sdk" / "go", GO.format(script=script))
    return search.model_copy(update={"go": str(go)})


def silent(_: str) -> None: ...


async def test_setting_comes_before_path_and_cache(search: Search, tmp_path: Path) -> None:
    """A program named by a setting is taken although PATH and cache have one too."""
    mine = program(tmp_path / "mine" / "opa", SAYS_OPA)
    program(tmp_path / "bin" / "opa", SAYS_OPA)
    program(cached(Tool.OPA, search), SAYS_OPA)
    location = await find(Tool.OPA, search.model_copy(update={"explicit": {Tool.OPA: mine}}), silent)
    assert (location.path, location.found) == (mine, Found.SETTING)


async def test_setting_that_names_another_version_is_refused(search: Search, tmp_path: Path) -> None:
    """A setting is never passed over in silence."""
    old = program(tmp_path / "mine" / "opa", 'echo "Version: 1.0.0"')
    with pytest.raises(UnavailableError, match=r"does not run as version 1\.22\.0"):
        await find(Tool.OPA, search.model_copy(update={"explicit": {Tool.OPA: old}}), silent)


async def test_path_comes_before_cache(search: Search, tmp_path: Path) -> None:
    """A right version on PATH is taken."""
    program(cached(Tool.OPA, search), SAYS_OPA)
    on_path = program(tmp_path / "bin" / "opa", SAYS_OPA)
    location = await find(Tool.OPA, search, silent)
    assert (location.path, location.found) == (on_path, Found.PATH)


@pytest.mark.parametrize("script", ['echo "Version: 0.1.0"', "exit 1", "exec /no/such/interpreter"])
async def test_wrong_version_on_path_is_passed_over(search: Search, tmp_path: Path, script: str) -> None:
    """Another version on PATH, or a broken program, leaves the search at the cache."""
    program(tmp_path / "bin" / "opa", script)
    program(cached(Tool.OPA, search), SAYS_OPA)
    assert (await find(Tool.OPA, search, silent)).found is Found.CACHE


async def test_temporal_built_from_modules_is_known_by_its_server(search: Search, tmp_path: Path) -> None:
    """A self-built Temporal CLI calls itself 0.0.0-DEV and is recognised by its server's version."""
    program(tmp_path / "bin" / "temporal", "echo 'temporal version 0.0.0-DEV (Server 1.32.0, UI 2.54.1)'")
    location = await look(Tool.TEMPORAL, search)
    assert location is not None


async def test_nothing_found_names_the_command_that_helps(search: Search) -> None:
    """Without Go the error holds the exact build command."""
    with pytest.raises(UnavailableError) as caught:
        await find(Tool.OPA, search, silent)
    assert build.shown(build_command(Tool.OPA, search)) in str(caught.value)
    assert "-tags opa_no_oci" in str(caught.value)


async def test_two_searches_build_once(search: Search, tmp_path: Path) -> None:
    """The second builder waits for the first and takes its result."""
    building = with_go(search, tmp_path, SAYS_OPA.replace('"', '\\"'))
    told: list[str] = []
    both = await asyncio.gather(*(find(Tool.OPA, building, told.append) for _ in range(2)))
    assert {location.found for location in both} == {Found.BUILD, Found.CACHE}
    assert (search.cache / "count").read_text() == "built\n"
    assert any("waiting" in line for line in told)


async def test_failed_build_leaves_nothing_in_the_cache(search: Search, tmp_path: Path) -> None:
    """A build that fails leaves neither a program nor a half of one."""
    failing = search.model_copy(update={"go": str(program(tmp_path / "sdk" / "go", 'echo "no network"; exit 1'))})
    with pytest.raises(UnavailableError, match="no network"):
        await find(Tool.OPA, failing, silent)
    assert [path.name for path in search.cache.iterdir()] == [f"opa-{RECIPES[Tool.OPA].version}.lock"]


async def test_cancelled_build_ends_the_compiler(search: Search, tmp_path: Path) -> None:
    """Ctrl-C during a build ends the compiler and leaves no program."""
    go = program(tmp_path / "sdk" / "go", f"echo $$ > {tmp_path}/pid; mv {tmp_path}/pid {tmp_path}/started; exec sleep 60")
    task = asyncio.ensure_future(find(Tool.OPA, search.model_copy(update={"go": str(go)}), silent))
    while not (tmp_path / "started").exists():
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "started").read_text()), 0)
    assert not cached(Tool.OPA, search).exists()
