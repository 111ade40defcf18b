"""Panics of Rust with or without a backtrace, and errors that its `main` returns, with what caused them."""

import re
from collections.abc import Sequence

from models.logs.traces.contract import Frame, Part, Thrown, Trace, said, trace_of

_PANIC = re.compile(r"thread '.{0,100}?' (?:\(\d{1,12}\) )?panicked at (.{1,1000})$")
_PLACE = re.compile(r"(\S.{0,300}?):(\d{1,9}):\d{1,9}:?$")
_BEFORE_1_73 = re.compile(r"'(.{0,900})', (\S.{0,300}?):(\d{1,9}):\d{1,9}$")
_FUNCTION = re.compile(r"\s*\d{1,5}:\s+(?:0x[0-9a-f]{1,16} - )?(\S.{0,400})$")
_AT = re.compile(r"\s+at (\S.{0,400}?):(\d{1,9})(?::\d{1,9})?$")
_HASH = re.compile(r"::h[0-9a-f]{16}$")
_CAUSE = re.compile(r"\s+(?:\d{1,3}: )?(\S.*)$")
_RETURNED, _CAUSES, _BACKTRACE = "Error: ", "Caused by:", "tack backtrace:"
_UNWINDS = ("rust_begin_unwind", "core::panicking::", "std::panicking::", "std::panic::")


def read(lines: Sequence[str]) -> Trace | None:
    """Innermost frame and root cause first."""
    begins = next((number for number, line in enumerate(lines) if _begins(line)), None)
    if begins is None:
        return None
    said_below = lines[begins + 1] if begins + 1 < len(lines) else ""
    thrown, place = _headline(lines[begins], said_below)
    frames = _after_panic(_frames(lines))
    if place is not None and not any(frame.file.endswith(place.file.removeprefix("./")) for frame in frames):
        frames = [place, *frames]
    causes = [Part(said("", each)) for each in _causes(lines)]
    return trace_of([*causes[::-1], Part(thrown, frames)], begins=begins)


def _begins(line: str) -> bool:
    return line.startswith(_RETURNED) or line.endswith(_BACKTRACE) or _PANIC.match(line) is not None


def _headline(line: str, below: str) -> tuple[Thrown | None, Frame | None]:
    """Since Rust 1.73 the message stands below the line of the panic."""
    if line.startswith(_RETURNED):
        return said("Error", line.removeprefix(_RETURNED)), None
    panic = _PANIC.match(line)
    if panic is None:
        return None, None
    if (found := _BEFORE_1_73.match(panic[1])) is not None:
        return said("panic", found[1]), Frame.at("", found[2], found[3])
    if (found := _PLACE.match(panic[1])) is not None:
        return said("panic", below), Frame.at("", found[1], found[2])
    return said("panic", panic[1]), None


def _causes(lines: Sequence[str]) -> list[str]:
    """What stands indented below `Caused by:`, the root cause last."""
    below = next((number for number, line in enumerate(lines, start=1) if line == _CAUSES), len(lines))
    found = []
    for line in lines[below:]:
        if (cause := _CAUSE.match(line)) is None:
            break
        found.append(cause[1])
    return found


def _frames(lines: Sequence[str]) -> list[Frame]:
    """A frame is a line with its number and function, and perhaps one with its place."""
    below = next((number for number, line in enumerate(lines, start=1) if line.endswith(_BACKTRACE)), len(lines))
    frames: list[Frame] = []
    for line in lines[below:]:
        if (found := _FUNCTION.match(line)) is not None:
            frames.append(Frame.at(_HASH.sub("", found[1]), "", None))
        elif frames and (at := _AT.match(line)) is not None:
            frames[-1] = Frame.at(frames[-1].function, at[1], at[2])
    return frames


def _after_panic(frames: list[Frame]) -> list[Frame]:
    """What runs once it has panicked is not what failed."""
    last = max((number for number, frame in enumerate(frames) if frame.function.startswith(_UNWINDS)), default=-1)
    return frames[last + 1 :] or frames
