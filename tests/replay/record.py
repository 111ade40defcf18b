"""Tell every story once more and keep its histories: run it after a change of a workflow's path that is meant."""

import sys
from pathlib import Path

import pytest

from tests.replay.fixed import HISTORIES

_TESTS = Path(__file__).parent.parent
_FILES = (
    "decisions",
    "cancel",
    "switches",
    "races",
    "evidence",
    "suggestions",
    "ends",
    "delivery",
    "bounds",
    "mended_grants",
    "mended_remediations",
    "policy_down",
    "outages",
    "unserved",
)


def main() -> int:
    HISTORIES.mkdir(exist_ok=True)
    for old in HISTORIES.glob("*.json"):
        old.unlink()
    stories = [
        *(str(_TESTS / "workflows" / f"test_{name}.py") for name in _FILES),
        str(_TESTS / "faults" / "test_killed_workers.py"),
    ]
    return int(pytest.main(["-q", "-p", "tests.replay.recording", *stories]))


if __name__ == "__main__":
    sys.exit(main())
