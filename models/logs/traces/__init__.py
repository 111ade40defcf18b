"""Stack traces: a language is a reader and the text without which it is not asked; the first that finds a trace is right."""

from collections.abc import Callable, Sequence

from models.logs.traces import at, go, python, ruby, rust
from models.logs.traces.contract import Trace

LONGEST_LINE = 1_000
_READERS: tuple[tuple[tuple[str, ...], Callable[[Sequence[str]], Trace | None]], ...] = (
    (('File "',), python.read),
    ((" panicked at ", "tack backtrace:", "\nCaused by:\n"), rust.read),
    ((".go:", "goroutine "), go.read),
    ((":in `", ":in '"), ruby.read),
    (("at ",), at.read),
)


def read(text: str) -> Trace | None:
    """The stack trace that `text` holds, or None. Time is linear in the length of `text`."""
    readers = [reader for marks, reader in _READERS if any(mark in text for mark in marks)]
    if not readers:
        return None
    lines = [line[:LONGEST_LINE].rstrip() for line in text.split("\n")]
    return next((trace for reader in readers if (trace := reader(lines)) is not None), None)
