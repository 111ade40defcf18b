"""What a log line, or a text of several lines, says: its message and level, what was thrown and where.

Any text has an answer. Time is linear in its length, of which no more than `LONGEST` characters are read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.base import Value
from models.logs import fields, traces
from models.logs.cleaning import clean
from models.logs.heads import head
from models.logs.levels import Level
from models.logs.traces.contract import Frame, Part, Thrown, Trace, error_named, trace_of

LONGEST = 65_536
LONGEST_MESSAGE = 4_096
_LONGEST_CODE = 128
_DEEPEST = 3


class Record(Value):
    """`message` is the first line of what is said, without the logger's head, and only empty when the text is blank.

    `errors` hold the root cause first. `frames` are innermost first, at most 50. `frame` is the innermost of one's own code
    or, without a trace, where the record was written. `code` is what a field calls so.
    """

    message: str
    level: Level | None = None
    errors: tuple[Thrown, ...] = ()
    code: str | None = None
    frames: tuple[Frame, ...] = ()
    frame: Frame | None = None

    @property
    def error_type(self) -> str | None:
        """The type of the root cause."""
        return next((each.type for each in self.errors if each.type), None)


def read(text: str) -> Record:
    """The record that `text` is: a JSON object, logfmt or plain text, with or without a stack trace."""
    return _read(clean(text[:LONGEST]), _DEEPEST)


def of_fields(named: Mapping[str, Any], text: str = "") -> Record:
    """The record that these fields are, whatever their logger calls them; `text` is its message where no field is one."""
    return _of_fields(named, clean(text[:LONGEST]).strip(), _DEEPEST)


def _read(text: str, depth: int) -> Record:
    text = text.strip()
    first, _, below = text.partition("\n")
    level, ends = head(first)
    said = first[ends:].strip()
    named = _named(said, below) if depth else None
    if named is not None:
        found = _of_fields(named, text, depth - 1)
        return found if found.level or level is None else found.model_copy(update={"level": level})
    if below:
        return _of_lines([said, *below.split("\n")], level)
    error = error_named(said) if "Err" in said or "Exc" in said else None
    return _record(said or first, level, (error,) if error else (), None)


def _named(said: str, below: str) -> Mapping[str, Any] | None:
    """The fields of an object, which may stand on several lines, or of one line with perhaps a stack below it."""
    if said.startswith("{"):
        return fields.of_json(f"{said}\n{below}")
    found = fields.of_tail(said) if "\t{" in said else fields.of_logfmt(said) if "=" in said else None
    return found if found is None or not below else {"stack": below} | found


def _of_lines(lines: Sequence[str], level: Level | None) -> Record:
    trace = traces.read("\n".join(lines))
    above = lines if trace is None else lines[: trace.begins]
    message = next((line.strip() for line in above if line.strip()), "")
    if trace is None:
        return _record(message, level, (), None)
    return _record(message or _headline(trace.thrown) or lines[trace.begins], level, trace.thrown, trace)


def _of_fields(named: Mapping[str, Any], text: str, depth: int) -> Record:
    known = fields.flat(named)
    said = fields.message(known)
    inner = _read(said[:LONGEST], depth) if said else Record(message="")
    thrown = fields.thrown(known)
    trace = next((found for each in fields.stack(known) if (found := _trace(each, thrown)) is not None), None)
    errors = (trace.thrown if trace else ()) or ((thrown,) if thrown else inner.errors)
    level = fields.level(known) or inner.level or (Level.ERROR if errors else None)
    code = fields.code(known)
    return Record(
        message=inner.message or _headline(errors) or text.partition("\n")[0][:LONGEST_MESSAGE],
        level=level,
        errors=errors,
        code=code and code[:_LONGEST_CODE],
        frames=trace.frames if trace else inner.frames,
        frame=(trace and trace.frame) or inner.frame or fields.caller(known),
    )


def _trace(stack: str | Sequence[Any], thrown: Thrown | None) -> Trace | None:
    if isinstance(stack, str):
        return traces.read(stack[:LONGEST])
    return trace_of([Part(thrown, found)], begins=0) if (found := fields.frames(stack)) else None


def _headline(errors: Sequence[Thrown]) -> str:
    """What was caught, as it is commonly written."""
    return ": ".join(part for part in (errors[-1].type, errors[-1].message) if part) if errors else ""


def _record(message: str, level: Level | None, errors: tuple[Thrown, ...], trace: Trace | None) -> Record:
    return Record(
        message=message[:LONGEST_MESSAGE],
        level=level or (Level.ERROR if errors else None),
        errors=errors,
        frames=trace.frames if trace else (),
        frame=trace.frame if trace else None,
    )
