"""Tell every story once more and keep its histories: run it after a change of a workflow's path that is meant.

With names of files (`python -m tests.replay.record monitor`) only those are told, and the histories of all others stay.
"""

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
    "monitor",
    "feed",
)


def main() -> int:
    HISTORIES.mkdir(exist_ok=True)
    chosen = sys.argv[1:]
    stories = [str(_TESTS / "workflows" / f"test_{name}.py") for name in chosen or _FILES]
    if not chosen:
        for old in HISTORIES.glob("*.json"):
            old.unlink()
        stories.append(str(_TESTS / "faults" / "test_killed_workers.py"))
    return int(pytest.main(["-q", "-p", "tests.replay.recording", *stories]))


if __name__ == "__main__":
    sys.exit(main())
