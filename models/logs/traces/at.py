"""Stack traces whose frames begin with `at`: those of the Java machine, of JavaScript and of .NET."""

import re
from collections.abc import Sequence

from models.logs.traces.contract import Frame, Part, Trace, error_named, named, trace_of

_JAVA = re.compile(
    r"(?:[\w.@-]{0,100}/{1,2}){0,2}([\w.$<>-]{1,300})\((?:([\w$.-]{1,200}):(\d{1,9})|Native Method|Unknown Source|<generated>"
    r"|([\w$-]{1,200}\.[a-z]{1,10}))\)"
)
_JAVASCRIPT = re.compile(r"(?:(?:async |new )?([^()]{1,300}?) \()?(?:file://)?(\S.{0,500}?):(\d{1,9}):\d{1,9}\)?$")
_DOTNET = re.compile(r"([^\s()]{1,300}(?: [^\s()]{1,100})?)\([^()]{0,500}\)(?: in (.{1,500}):line (\d{1,9}))?$")
_INNER, _END_OF_INNER = " ---> ", "--- End of "
_ROOT_FIRST, _BESIDE = "Wrapped by:", "Suppressed:"
_CAUSES = ("Caused by:", "[cause]:", "---> ", _ROOT_FIRST)
_HIGHEST = 20


def read(lines: Sequence[str]) -> Trace | None:
    """What was caught stands first, and its root cause last, or the other way round where it says `Wrapped by`."""
    first = next((number for number, line in enumerate(lines) if _frame(line) is not None), None)
    if first is None:
        return None
    begins = _headline(lines, first)
    chain = _Chain(lines[begins] if begins < first else "")
    for line in lines[min(begins + 1, first) :]:
        chain.take(line)
    return trace_of(chain.parts(), begins=begins)


class _Chain:
    """The errors met so far, what was caught first; `_inside` are those whose frames are still to come."""

    def __init__(self, headline: str) -> None:
        self._parts: list[Part] = []
        self._inside: list[Part] = []
        self._is_root_first = False
        self._beside: int | None = None
        self._begin(headline)

    def take(self, line: str) -> None:
        bare = line.strip()
        depth = len(line) - len(line.lstrip())
        if self._beside is not None and depth > self._beside:
            return
        self._beside = depth if bare.startswith(_BESIDE) else None
        if bare.startswith(_CAUSES):
            self._is_root_first |= bare.startswith(_ROOT_FIRST)
            self._begin(bare)
        elif bare.startswith(_END_OF_INNER) and len(self._inside) > 1:
            self._inside.pop()
        elif (frame := _frame(line)) is not None:
            self._inside[-1].frames.append(frame)

    def parts(self) -> list[Part]:
        return self._parts if self._is_root_first else self._parts[::-1]

    def _begin(self, headline: str) -> None:
        for each in headline.split(_INNER):
            self._parts.append(Part(named(each)))
            self._inside.append(self._parts[-1])


def _headline(lines: Sequence[str], first: int) -> int:
    """The line that names the error: a message of several lines may stand between it and the first frame."""
    above = range(first - 1, max(first - _HIGHEST, 0) - 1, -1)
    likely = [number for number in above if lines[number].strip() and not lines[number].strip().startswith(_CAUSES)]
    surely = (number for number in likely if error_named(lines[number]) is not None)
    return next(surely, likely[0] if likely else first)


def _frame(line: str) -> Frame | None:
    bare = line.strip()
    if not bare.startswith("at "):
        return None
    place = bare[3:]
    if (found := _JAVA.match(place)) is not None:
        return Frame.at(found[1], found[2] or found[4] or "", found[3])
    if (found := _JAVASCRIPT.match(place)) is not None:
        return Frame.at(found[1] or "", found[2], found[3])
    if (found := _DOTNET.match(place)) is not None:
        return Frame.at(found[1], found[2] or "", found[3])
    return None
