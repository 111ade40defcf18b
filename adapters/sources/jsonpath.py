"""A small part of JSONPath, safe on whatever it is given: `$.a.b[0].c`, `$['a b']`, `$[-1]`, `[*]` and `.*`.

Filters, scripts, slices and `..` are no part of it: what a path may cost is bounded by its length, by `_MOST` results and by
the effort that all paths of a request share.
"""

import re
from functools import lru_cache
from itertools import islice
from typing import Any

_STEP = re.compile(
    r"""
    \.(?P<name>[A-Za-z_][\w-]{0,127})
    | \[\s*(?:'(?P<single>[^']{1,255})'|"(?P<double>[^"]{1,255})")\s*\]
    | \[\s*(?P<index>-?\d{1,6})\s*\]
    | (?P<all>\[\s*\*\s*\]|\.\*)
    """,
    re.VERBOSE | re.ASCII,
)
_LONGEST, _MOST, _STEPS = 512, 10_000, 32
_VISITS = 100_000
_ALL = None
Step = str | int | None


class PathError(ValueError):
    """The path is not written in this part of JSONPath."""


class EffortError(ValueError):
    """The paths of a request lead through more values than anybody may look at."""


class Effort:
    """How many values the paths of one request may lead through beside the first at each step."""

    def __init__(self, visits: int = _VISITS) -> None:
        self._left = visits

    def spend(self, visits: int) -> None:
        """Raises EffortError: none are left."""
        self._left -= visits
        if self._left < 0:
            raise EffortError("expected paths that lead through fewer values")


@lru_cache(maxsize=1024)
def steps(path: str) -> tuple[Step, ...]:
    """The path as names, indices, and None for every member.

    Raises:
        PathError: it is written in another way.
    """
    if not path.startswith("$") or len(path) > _LONGEST:
        raise PathError("expected a path that begins with $")
    found: list[Step] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise PathError(f"expected .name, ['name'], [0] or [*] at character {position}")
        if len(found) == _STEPS:
            raise PathError(f"expected a path of at most {_STEPS} steps")
        found.append(_step(match))
        position = match.end()
    return tuple(found)


def values(document: Any, path: str, effort: Effort) -> list[Any]:
    """Everything at `path`, in order; nothing if it leads nowhere.

    Raises:
        PathError: the path is not written in this part of JSONPath.
        EffortError: it leads through more values than are left to look at.
    """
    found = [document]
    for step in steps(path):
        effort.spend(len(found) - 1)
        found = list(islice((inner for value in found for inner in _inside(value, step)), _MOST))
    return found


def _step(match: re.Match[str]) -> Step:
    if match["all"]:
        return _ALL
    return int(match["index"]) if match["index"] else match["name"] or match["single"] or match["double"]


def _inside(value: Any, step: Step) -> list[Any]:
    match value, step:
        case dict(), None:
            return list(value.values())
        case list(), None:
            return value
        case dict(), str():
            return [value[step]] if step in value else []
        case list(), int():
            return [value[step]] if -len(value) <= step < len(value) else []
    return []
