"""What every test may ask for: the real database, the real engine, the real policy server."""

import faulthandler
import os
import signal
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import settings

pytest_plugins = ["tests.database", "tests.engine"]

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

LONGEST_S = 3_600 if "SUTURE_FULL" in os.environ else 600
"""A test that takes longer hangs: it fails with the stack it hung in, and does not take the whole run with it."""

TOGETHER = {"api": "database", "storage": "database", "attacks": "world", "workflows": "world"}
"""Folders whose tests share what is dear to start, so that one process runs them all; other files run where there is room.

Those that look at the bare database come first: a served world beside them would tell the stories that they only write down.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    groups = [*dict.fromkeys(TOGETHER.values())]

    def group_of(item: pytest.Item) -> str:
        inside = item.path.relative_to(Path(__file__).parent)
        return TOGETHER.get(inside.parts[0], str(inside))

    items.sort(key=lambda item: groups.index(group_of(item)) if group_of(item) in groups else len(groups))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    def give_up(number: int, frame: FrameType | None) -> None:
        faulthandler.dump_traceback(file=2)
        raise TimeoutError(f"{item.nodeid} has not ended within {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LONGEST_S)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
