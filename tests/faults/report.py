"""One JSON line per fault: how often it was injected, how often an invariant broke, and what was measured."""

import json
import os
import re
from collections.abc import Sequence

import pytest

FULL = os.environ.get("SUTURE_FULL") == "1"
_NAME = re.compile(r"test_(f\d\d)_")
_LINES = pytest.StashKey[dict[str, "Fault"]]()
_TENTH = 10
_BARS_TIMES = 1 if FULL else 3
"""By how much every time bar is widened: not in the full run, which has the machine to itself."""


def counted(full: int) -> int:
    """All of them in the full run, a tenth otherwise."""
    return full if FULL else max(1, full // _TENTH)


def bar(seconds: float) -> float:
    """The bar of this run; each line of the report names the factor."""
    return _BARS_TIMES * seconds


class Fault:
    """What one fault came to, over all of its tests."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failed: list[str] = []
        self._runs = 0
        self._violations: list[str] = []
        self._numbers: dict[str, object] = {}

    def note(self, *, runs: int, violations: Sequence[str], **numbers: object) -> None:
        """Keep what was measured, then fail if an invariant broke."""
        self._runs += runs
        self._violations += violations
        self._numbers |= {name: round(value, 3) if isinstance(value, float) else value for name, value in numbers.items()}
        assert not violations, f"{self.name}: {len(violations)} violations, the first: {violations[:3]}"

    @property
    def line(self) -> str:
        said: dict[str, object] = {"id": self.name, "runs": self._runs, "violations": len(self._violations), **self._numbers}
        said |= {"bars_times": _BARS_TIMES}
        return json.dumps(said | ({"failed": self.failed} if self.failed else {}))


def p95(values: Sequence[float]) -> float:
    return sorted(values)[max(0, round(0.95 * len(values)) - 1)] if values else 0.0


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Fault:
    """The line of the fault that the test's name names."""
    found = _NAME.match(request.node.name)
    assert found, "a fault's test is named test_fNN_…"
    name = found[1].upper()
    lines = request.config.stash.setdefault(_LINES, {})
    return lines.setdefault(name, Fault(name))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    outcome = yield
    report = outcome.get_result()
    found = _NAME.match(item.name)
    if report.failed and found:
        name = found[1].upper()
        line = item.config.stash.setdefault(_LINES, {}).setdefault(name, Fault(name))
        line.failed.append(item.name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for _, each in sorted(config.stash.get(_LINES, {}).items()):
        terminalreporter.write_line(each.line)
