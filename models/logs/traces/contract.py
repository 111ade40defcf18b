"""What a stack trace says, whatever language it is of: what was thrown, and where."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from domain.base import Value
from models.logs.traces.foreign import is_library, is_runtime

MOST_FRAMES = 50
MOST_THROWN = 8
_LONGEST_NAME = 300
_LONGEST_MESSAGE = 1_000
_TYPE = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|/|\\)[A-Za-z_$][\w$]*)*")
_LONGEST_TYPE = 200
_ERRORS = ("Error", "Exception", "Fault", "Interrupt", "Exit", "Timeout")
_ANNOUNCED = re.compile(
    r'(?:\s*(?:Exception in thread "[^"]{0,200}"|\(node:\d{1,10}\) UnhandledPromiseRejectionWarning:|Unhandled [Ee]xception[.:]'
    r"|Uncaught(?: exception:?)?|Caused by:|Wrapped by:|Suppressed:|\[cause\]:|--->))*\s*"
)


class Frame(Value):
    """A place in code; `function` and `file` are empty and `line` is None where they are not told."""

    function: str = ""
    file: str = ""
    line: int | None = None

    @classmethod
    def at(cls, function: str, file: str, line: str | int | None) -> Self:
        return cls(
            function=function.strip()[:_LONGEST_NAME],
            file=file.strip()[-_LONGEST_NAME:],
            line=int(line) if line is not None and str(line).isdecimal() and len(str(line)) < 10 else None,
        )


class Thrown(Value):
    """An error by its type (empty where none is told) and the first line of its message."""

    type: str
    message: str = ""


class Trace(Value):
    """`thrown` holds the root cause first, then what it became on its way out.

    `frames` are innermost first, those of the root cause before the others. `frame` is the innermost of one's own: the
    first outside of known libraries, or at least outside of the runtime. `begins` is the line on which the trace begins.
    """

    thrown: tuple[Thrown, ...]
    frames: tuple[Frame, ...]
    frame: Frame | None
    begins: int = 0


@dataclass
class Part:
    """One error of a chain with its frames, innermost first."""

    thrown: Thrown | None = None
    frames: list[Frame] = field(default_factory=list)


def trace_of(parts: Iterable[Part], *, begins: int) -> Trace | None:
    """The trace of a chain, the root cause first; None when there is neither an error nor a frame."""
    parts = list(parts)
    frames = [frame for part in parts for frame in part.frames]
    thrown = [part.thrown for part in parts if part.thrown is not None]
    if not frames and not thrown:
        return None
    kept = thrown if len(thrown) <= MOST_THROWN else [*thrown[: MOST_THROWN - 1], thrown[-1]]
    return Trace(thrown=tuple(kept), frames=tuple(frames[:MOST_FRAMES]), frame=own(frames), begins=begins)


def own(frames: Sequence[Frame]) -> Frame | None:
    """The innermost frame of one's own code, as far as is known."""
    for is_strange in (is_library, is_runtime):
        for frame in frames:
            if not is_strange(frame.function, frame.file):
                return frame
    return frames[0] if frames else None


def named(line: str) -> Thrown | None:
    """The error of a headline like `pkg.Type: message`; None when it does not begin with a type."""
    bare = line[_ended(_ANNOUNCED.match(line)) :]
    kind = _TYPE.match(bare[:_LONGEST_TYPE])
    if kind is None:
        return None
    rest = bare[kind.end() :]
    if rest and not rest.startswith((":", " [", " (")):
        return None
    return Thrown(type=kind[0], message=rest.removeprefix(":").strip()[:_LONGEST_MESSAGE])


def error_named(line: str) -> Thrown | None:
    """As `named`, of a line that may be about anything: its type must be called an error."""
    found = named(line)
    return found if found is not None and is_error(found.type) else None


def is_error(name: str) -> bool:
    """Whether a type is called as errors are."""
    return name.endswith(_ERRORS)


def said(kind: str, message: str) -> Thrown:
    return Thrown(type=kind.strip()[:_LONGEST_TYPE], message=message.strip()[:_LONGEST_MESSAGE])


def _ended(match: re.Match[str] | None) -> int:
    return match.end() if match else 0
