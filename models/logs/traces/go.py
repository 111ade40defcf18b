"""Panics and stacks of Go: of several goroutines the first, which is the one that failed."""

import re
from collections.abc import Sequence

from models.logs.traces.contract import Frame, Part, Thrown, Trace, said, trace_of

_GOROUTINE = re.compile(r"goroutine \d{1,12} .{0,100}\[.{1,200}\]:$|goroutine \d{1,12} \[.{1,200}\]:$")
_PLACE = re.compile(r"\s+(\S.{0,500}\.(?:go|s|c)):(\d{1,9})(?: \+0x[0-9a-f]{1,16})?$")
_CREATED = re.compile(r"created by ([^\s]{1,300})")
_KINDS = ("panic: ", "fatal error: ")


def read(lines: Sequence[str]) -> Trace | None:
    """A frame is two lines: the function with its arguments, then the place."""
    thrown, begins, goroutines, frames = None, -1, 0, list[Frame]()
    for number, line in enumerate(lines):
        goroutines += _GOROUTINE.match(line) is not None
        if goroutines > 1:
            break
        if thrown is None and not frames and (thrown := _thrown(line)) is not None:
            begins = number
        elif (found := _PLACE.match(line)) is not None and number > 0:
            begins = number - 1 if begins < 0 else begins
            frames.append(Frame.at(_function(lines[number - 1]), found[1], found[2]))
        elif begins < 0 and goroutines:
            begins = number
    return trace_of([Part(thrown, _after_panic(frames))], begins=begins) if frames else None


def _thrown(line: str) -> Thrown | None:
    kind = next((each for each in _KINDS if line.startswith(each)), None)
    return said(kind.rstrip(": "), line.removeprefix(kind)) if kind else None


def _function(line: str) -> str:
    """The name without its arguments: `main.(*Server).handle(0xc000…)`."""
    if (created := _CREATED.match(line)) is not None:
        return created[1]
    bare = line.strip()
    return bare[: bare.rfind("(")] if bare.endswith(")") else bare


def _after_panic(frames: list[Frame]) -> list[Frame]:
    """What runs once it has panicked is not what failed; the last panic of several was the first."""
    last = max((number for number, frame in enumerate(frames) if frame.function in ("panic", "runtime.gopanic")), default=-1)
    return frames[last + 1 :] or frames
