"""What every test may ask for: the real database, the real engine, the real policy server."""

import faulthandler
import signal
from types import FrameType

import pytest
from hypothesis import settings

pytest_plugins = ["tests.database", "tests.engine"]

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

LONGEST_S = 600
"""A test that takes longer hangs: it fails with the stack it hung in, and does not take the whole run with it."""


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
