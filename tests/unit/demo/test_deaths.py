"""The story's judge of a killed worker: what only looks like one is a difference."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo.deaths import _Held, _judge
from demo.files import AD_COST, prod
from demo.holds import Holds
from demo.scene import Scene

LOST, ASKED, AGAIN = ("run", "lost"), ("probe", "failed"), ("run", "passed")


class Omar:
    """An API that knows one run and its attempts."""

    def __init__(self, attempts: list[tuple[str, str]]) -> None:
        self._attempts = [{"stage": "load", "step_key": "k", "kind": kind, "status": status} for kind, status in attempts]

    async def get(self, path: str) -> dict[str, Any]:
        return {"execution": {"status": "succeeded"}, "attempts": self._attempts}


class Target:
    async def effects(self) -> dict[str, int]:
        return {"k": 1}


async def judged(folder: Path, attempts: list[tuple[str, str]], *, is_done: bool) -> list[str]:
    cast: Any = SimpleNamespace(omar=Omar(attempts))
    unused: Any = None
    scene = Scene(
        cast=cast,
        material=AD_COST,
        target=Target(),  # type: ignore[arg-type]
        server=unused,
        workers=tuple,
        season="s",
        holds=folder,
        say=lambda _: None,
    )
    load = next(each for each in prod().stages if each.name == "load")
    await _judge(scene, _Held("p", load, Holds(folder)), "somewhere", "exe_1", is_done=is_done)
    return scene.differences


@pytest.mark.parametrize(
    ("attempts", "is_done"),
    [([LOST, ASKED, AGAIN], False), ([LOST, ASKED, ASKED, AGAIN], False), ([LOST, ("probe", "passed")], True)],
)
async def test_what_a_kill_leaves_is_as_expected(tmp_path: Path, attempts: list[tuple[str, str]], is_done: bool):
    """A lost attempt, then the probe's word, then one more start where nothing was done."""
    assert await judged(tmp_path, attempts, is_done=is_done) == []


@pytest.mark.parametrize(
    ("attempts", "is_done"),
    [
        ([AGAIN], False),
        ([AGAIN], True),
        ([LOST, AGAIN], True),
        ([LOST, ASKED, AGAIN], True),
        ([LOST, ("probe", "passed")], False),
    ],
)
async def test_a_run_that_only_succeeded_was_not_killed(tmp_path: Path, attempts: list[tuple[str, str]], is_done: bool):
    """One effect and a good end are not enough: the attempts must be those of a kill at that point."""
    assert len(await judged(tmp_path, attempts, is_done=is_done)) == 1
