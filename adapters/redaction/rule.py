"""A rule takes one kind of thing out of text: a hint for RE2, a pattern that finds it, and what it must add up to."""

import re
from collections.abc import Callable
from dataclasses import dataclass

Span = tuple[int, int]


def last_group(match: re.Match[str]) -> Span:
    """The innermost part that the pattern marks, or all of it."""
    return match.span(match.lastindex or 0)


def as_written(value: str) -> str:
    return value


@dataclass(frozen=True)
class Rule:
    """`hint` is in RE2's syntax, and no text without it holds what `pattern` finds.

    `pattern` reads a text once, whatever the text: it starts where a run starts and gives nothing back, or looks ahead by a
    bounded number of characters. `locate` says which part of a match is taken out, or that it is none; `normal` writes two
    forms of one value the same way, so that both are shown alike.
    """

    kind: str
    hint: str
    pattern: re.Pattern[str]
    locate: Callable[[re.Match[str]], Span | None] = last_group
    normal: Callable[[str], str] = as_written
