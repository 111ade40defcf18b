"""Join the lines of one stream into records, so that a stack trace of many lines is one.

Whether a line goes on is decided by it and what stood before it, never by what comes after: a record is known to be over
when the next one begins. Lines of several streams have to be taken apart first.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from models.logs.heads import head
from models.logs.traces.contract import is_error, named

MOST_LINES = 1_000
MOST_CHARACTERS = 65_536
_MOST_BELOW = 20

_GOES_ON = re.compile(
    r"Caused by:|Wrapped by:|Suppressed:|\.\.\. \d{1,6} more|---> |--- End of |\[cause\]:|goroutine \d{1,12} |created by "
    r"|\[signal |exit status \d|[Ss]tack backtrace:|note: (?:run with|Some details)|at \S{1,300}\(|from \S{1,300}:\d{1,9}:in "
    r"|[^\s:]{1,300}:\d{1,9}:in [`'][^`']{1,300}'$|File \"|\[Previous line repeated|[}\])]{1,8}[,;]?$"
)
_OF_A_TRACE = re.compile(
    r"\s*(?:at \S|File \"|from \S{1,300}:\d{1,9}:in |[^\s:]{1,300}:\d{1,9}:in [`']|goroutine \d|Caused by:"
    r"|.{0,200}Traceback \(most|.{0,100}panicked at |[Ss]tack backtrace:)"
)
_RUBY = re.compile(r"[^\s:]{1,300}:\d{1,9}:in [`'][^`']{1,300}': ")
_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_PANICKED = re.compile(r".{0,200}panicked at .{1,500}:\d{1,9}:\d{1,9}:$")
_GOROUTINE = re.compile(r"goroutine \d{1,12} .{0,200}\]:$")
_FUNCTION = re.compile(r"[\w./-]{1,300}[\w.*()\[\]{}…-]{0,200}\(.{0,1000}\)$")


class _Open(Enum):
    """What the record has begun and not ended: `ANYTHING` is one line more, whatever it says."""

    NOTHING = auto()
    ANYTHING = auto()
    TRACEBACK = auto()
    GOROUTINE = auto()


class Joiner:
    """Takes the lines of one stream in their order.

    Of a record longer than the bounds, its beginning and its end are kept: a cause stands in either.
    """

    def __init__(self, *, most_lines: int = MOST_LINES, most_characters: int = MOST_CHARACTERS) -> None:
        self._most_lines = most_lines
        self._most_characters = most_characters
        self._begin_anew()

    def take(self, line: str) -> str | None:
        """The record that this line shows to be over, if it does."""
        line = line.rstrip()[: self._most_characters // 2]
        if not line:
            self._is_after_blank = bool(self._first)
            return None
        if self._first and self._goes_on(line):
            self._keep(line)
            return None
        over = self.rest()
        self._keep(line)
        return over

    def rest(self) -> str | None:
        """The record so far, when the stream ends or has been silent for long; the next line begins another."""
        if not self._first:
            return None
        omitted = [f"    ... {self._omitted:,} lines left out"] if self._omitted else []
        text = "\n".join([*self._first, *omitted, *self._last])
        self._begin_anew()
        return text

    def _begin_anew(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque()
        self._characters = self._omitted = self._below = 0
        self._open = _Open.NOTHING
        self._has_trace = self._is_after_blank = False
        self._is_headed = self._is_bad = False

    def _goes_on(self, line: str) -> bool:
        if _TRACEBACK in line and self._open is not _Open.ANYTHING and not (self._has_trace and line[0].isspace()):
            return self._is_bad and not self._has_trace
        if line[0].isspace():
            return self._has_trace or not self._is_after_blank
        if _GOES_ON.match(line) is not None or line.startswith(_CHAINED):
            return True
        if line.startswith("{") or head(line).ends:
            return False
        if self._open is _Open.GOROUTINE and not self._is_after_blank:
            return _FUNCTION.match(line) is not None
        if self._open in {_Open.ANYTHING, _Open.TRACEBACK}:
            return True
        if self._has_trace:
            return self._is_headed and self._below < _MOST_BELOW
        return self._is_bad and (_RUBY.match(line) is not None or _names_an_error(line))

    def _keep(self, line: str) -> None:
        if not self._first:
            found = head(line)
            self._is_headed, self._is_bad = found.ends > 0, found.level is not None and found.level.is_bad
        is_trace = line[0].isspace() or _OF_A_TRACE.match(line) is not None
        self._below = 0 if is_trace else self._below + 1
        self._has_trace |= _OF_A_TRACE.match(line) is not None
        self._open = _opened(line, self._open)
        self._is_after_blank = False
        self._store(line)

    def _store(self, line: str) -> None:
        self._characters += len(line) + 1
        is_early = len(self._first) < self._most_lines // 2 and self._characters <= self._most_characters // 2
        if not self._first or (is_early and not self._last):
            self._first.append(line)
            return
        self._last.append(line)
        while len(self._first) + len(self._last) > self._most_lines or self._characters > self._most_characters:
            self._characters -= len(self._last.popleft()) + 1
            self._omitted += 1


def records(lines: Iterable[str], *, most_lines: int = MOST_LINES, most_characters: int = MOST_CHARACTERS) -> Iterator[str]:
    """The records of a stream that is all there."""
    joiner = Joiner(most_lines=most_lines, most_characters=most_characters)
    for line in lines:
        if (over := joiner.take(line)) is not None:
            yield over
    if (over := joiner.rest()) is not None:
        yield over


def _opened(line: str, before: _Open) -> _Open:
    """What stands open after `line`."""
    if _TRACEBACK in line:
        return _Open.TRACEBACK
    if line.startswith(_CHAINED) or _PANICKED.match(line) is not None:
        return _Open.ANYTHING
    if _GOROUTINE.match(line) is not None:
        return _Open.GOROUTINE
    return before if line[0].isspace() or before is _Open.GOROUTINE else _Open.NOTHING


def _names_an_error(line: str) -> bool:
    """Also one that is not called so, when its name is a qualified one: `com.acme.OrderFailed: …`."""
    found = named(line)
    if found is None:
        return False
    package, _, name = found.type.rpartition(".")
    return is_error(found.type) or (bool(package) and name[:1].isupper())
