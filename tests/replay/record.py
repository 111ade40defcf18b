"""Tell every story once more and keep its histories: run it after a change of a workflow's path that is meant."""

import sys
from pathlib import Path

import pytest

from tests.replay.fixed import HISTORIES

_STORIES = Path(__file__).parent.parent / "workflows"
_FILES = ("decisions", "cancel", "switches", "races", "evidence", "suggestions")


def main() -> int:
    HISTORIES.mkdir(exist_ok=True)
    for old in HISTORIES.glob("*.json"):
        old.unlink()
    stories = [str(_STORIES / f"test_{name}.py") for name in _FILES]
    return int(pytest.main(["-q", "-p", "tests.replay.recording", *stories]))


if __name__ == "__main__":
    sys.exit(main())
