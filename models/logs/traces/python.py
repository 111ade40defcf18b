"""Tracebacks of Python, chained ones and those of groups included."""

import re
from collections.abc import Sequence

from models.logs.traces.contract import Frame, Part, Thrown, Trace, named, said, trace_of

_HEAD = "Traceback (most recent call last):"
_FRAME = re.compile(r'File "([^"]{1,500})", line (\d{1,9})(?:, in (.{1,300}))?')
_MARGIN = " \t|+"
_OF_A_GROUP = "Group"


def read(lines: Sequence[str]) -> Trace | None:
    """The innermost frame stands last, and the root cause first, but a group stands before its members."""
    parts: list[Part] = []
    begins, depth, frames = -1, 0, list[Frame]()
    for number, line in enumerate(lines):
        bare = line.lstrip(_MARGIN)
        if _HEAD in bare:
            begins, depth, frames = number if begins < 0 else begins, len(line) - len(bare), []
        elif (found := _FRAME.match(bare)) is not None:
            begins = number if begins < 0 else begins
            frames.append(Frame.at(found[3] or "", found[1], found[2]))
        elif frames and bare and len(line) - len(bare) <= depth:
            parts.append(Part(_thrown(bare), frames[::-1]))
            frames = []
    if frames:
        parts.append(Part(None, frames[::-1]))
    return trace_of(sorted(parts, key=_is_group), begins=begins)


def _thrown(line: str) -> Thrown:
    return named(line) or said("", line)


def _is_group(part: Part) -> bool:
    return part.thrown is not None and part.thrown.type.endswith(_OF_A_GROUP)
