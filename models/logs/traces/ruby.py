"""Backtraces of Ruby, as it prints them itself and as frameworks do."""

import re
from collections.abc import Sequence

from models.logs.traces.contract import Frame, Part, Thrown, Trace, error_named, said, trace_of

_FRAME = re.compile(r"\s*(?:\d{1,6}: )?(?:from )?([^\s:][^:]{0,400}):(\d{1,9}):in [`'](.{1,300}?)'(?=$|:|\s)")
_HEADLINE = re.compile(r"([A-Z]\w{0,80}(?:::[A-Z]\w{0,80}){0,8}) \((.*)\):$")
_KIND = re.compile(r"(.{0,1000}?)\s?\(([A-Z]\w{0,80}(?:::[A-Z]\w{0,80}){0,8})\)$")


def read(lines: Sequence[str]) -> Trace | None:
    """Innermost first. The error stands behind the first frame, or above it as `Type (message):`."""
    frames, thrown, begins = list[Frame](), None, -1
    for number, line in enumerate(lines):
        found = _FRAME.match(line)
        if found is None:
            continue
        frames.append(Frame.at(found[3], found[1], found[2]))
        if begins < 0:
            begins = number
        if thrown is None:
            thrown = _behind(line[found.end() :])
    if thrown is None and begins > 0:
        begins, thrown = _above(lines, begins)
    return trace_of([Part(thrown, frames)], begins=begins) if frames else None


def _behind(rest: str) -> Thrown | None:
    found = _KIND.match(rest.removeprefix(":").strip())
    return said(found[2], found[1]) if found else None


def _above(lines: Sequence[str], begins: int) -> tuple[int, Thrown | None]:
    above = next((number for number in range(begins - 1, -1, -1) if lines[number].strip()), begins)
    if (found := _HEADLINE.match(lines[above])) is not None:
        return above, said(found[1], found[2])
    thrown = error_named(lines[above])
    return (begins, None) if thrown is None else (above, thrown)
