"""Take the variable parts out of a log line: numbers, addresses, ids, paths and dates become `<*>`.

Most words of a log come again and again, so each is looked up; only a word with a digit or a slash is searched. One
configuration serves all systems.
"""

import re
from collections.abc import Iterable, Sequence

VARIABLE = "<*>"
LONGEST = 4_096
"""Of a longer line the rest is not read: what a line is about stands at its beginning."""

_MOST_WORDS = 100_000
_LONGEST_WORD = 100
_ID = (
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![A-Za-z0-9])",
    r"[a-z][a-z0-9+.-]{1,16}://[^\s\"'<>()\[\],]+",
    r"0x[0-9a-fA-F]+",
    r"(?:[0-9a-fA-F]{2}:){5,}[0-9a-fA-F]{2}(?![A-Za-z0-9])",
    r"(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}(?![A-Za-z0-9])",
)
_PATH = r"(?<![\w.<>/])(?:/[\w.\-@:+%~]+){2,}/?(?:\?[^\s\"]*)?"
_NUMBER = r"[-+]?\d+(?:[.,:]\d+)*"
_IN_WORD = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_ID)})|{_PATH}|{_NUMBER}")
_MAY_VARY = re.compile(r"[\d/]")

_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DATE = re.compile(rf"(?:\b{_DAY},? )?\b{_MONTH}\.? <\*>(?:,? <\*>){{0,2}}(?: [A-Z]{{3,4}}\b)?(?: <\*>)?")
_LIST = re.compile(r"<\*>(?:(?:[,;]\s?|[_\-/:.#@|])<\*>)+")
_EMPTY = re.compile(r"(?<=\s)(?:\(\)|\[\]|\"\")")
_SEPARATOR = r"\s+|[=:,;()\[\]{}\"'|<>](?!\*>)(?<!\*>)"
_SPLIT = re.compile(f"({_SEPARATOR})")
_IS_SEPARATOR = re.compile(_SEPARATOR)


class Masks:
    """`extra` are patterns of the user's own, taken out before all others, wherever in the line they stand."""

    def __init__(self, extra: Sequence[re.Pattern[str]] = ()) -> None:
        self._extra = tuple(extra)
        self._masked = _Words().__getitem__

    def shape(self, line: str) -> str:
        """The line without its variable parts, one space between words: cheap, and equal for most lines of a template."""
        line = line[:LONGEST]
        for pattern in self._extra:
            line = pattern.sub(VARIABLE, line)
        return " ".join(map(self._masked, line.split()))


class _Words(dict[str, str]):
    def __missing__(self, word: str) -> str:
        if _MAY_VARY.search(word) is not None:
            return _LIST.sub(VARIABLE, _IN_WORD.sub(VARIABLE, word))
        if len(word) <= _LONGEST_WORD and len(self) < _MOST_WORDS:
            self[word] = word
        return word


def tidy(shape: str) -> str:
    """A shape with what spans several words taken out, too: written dates, lists, brackets that may be empty."""
    shape = _LIST.sub(VARIABLE, _DATE.sub(VARIABLE, shape))
    return _EMPTY.sub(lambda found: f"{found[0][0]}{VARIABLE}{found[0][1]}", shape)


def tokens(shape: str) -> tuple[str, ...]:
    """Words and separators in their order; joined they are the shape again."""
    return tuple(part for part in _SPLIT.split(shape) if part)


def is_word(token: str) -> bool:
    return _IS_SEPARATOR.fullmatch(token) is None


def text(parts: Iterable[str]) -> str:
    return "".join(parts)
