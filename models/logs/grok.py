"""Patterns of a user's own in the language of grok: `%{IP:client} %{WORD:method} took %{NUMBER:ms:float}`.

They become RE2, which reads a line once whatever the pattern. What RE2 has no word for (looking around, references back,
atomic groups) is refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple, Self, cast

import re2
from pydantic import Field, StringConstraints, model_validator

from domain.base import Value
from models.logs.cleaning import clean
from models.logs.grok_base import BASE
from models.logs.records import Record, of_fields

MOST_PATTERNS = 100
LONGEST_PATTERN = 2_000
DEEPEST = 12
LARGEST = 20_000
"""Characters of an expression with every part written out."""

MOST_FIELDS = 50
LONGEST = 4_096
"""Of a longer text the rest is not read."""

MOST_INSTRUCTIONS = 4_000
MOST_INSTRUCTIONS_TOGETHER = 20_000
"""RE2's time is at most proportional to the product of a pattern's instructions and the characters of a text."""

_SHOWN = 80
_MEMORY = 8 * 1024 * 1024
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_FIELD = r"[A-Za-z_@\[][\w.@\[\]-]{0,99}"
_REFERENCE = re.compile(r"%\{([^{}]*)\}")
_PARTS = re.compile(rf"({_NAME})(?::({_FIELD})(?::(int|float|string))?)?")
_OWN_GROUP = re.compile(rf"\(\?P?<({_FIELD})>")
_NUMBER = re.compile(r"[-+]?\d{1,15}(?:\.\d{1,15})?")

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PATTERN)]
Name = Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
Found = Mapping[str, str | int | float]


class GrokPatterns(Value):
    """What a user gives: expressions, tried in their order, and definitions of names that they are made of.

    Raises:
        ValueError: an expression cannot be compiled; the sentence says which and why.
    """

    expressions: tuple[Pattern, ...] = Field(max_length=MOST_PATTERNS)
    definitions: dict[Name, Pattern] = Field(default_factory=dict, max_length=MOST_PATTERNS)

    @model_validator(mode="after")
    def _can_be_compiled(self) -> Self:
        Grok(self)
        return self


class Grok:
    """The expressions of a user, compiled.

    Raises:
        ValueError: one cannot be compiled, or they are too large together.
    """

    def __init__(self, patterns: GrokPatterns) -> None:
        self._expressions = [_compiled(each, patterns.definitions) for each in patterns.expressions]
        if (size := sum(each.instructions for each in self._expressions)) > MOST_INSTRUCTIONS_TOGETHER:
            raise ValueError(
                f"expected expressions of at most {MOST_INSTRUCTIONS_TOGETHER:,} instructions together, got {size:,}"
            )

    def match(self, text: str) -> Found | None:
        """The fields of the first expression found anywhere in `text`; only those that hold something."""
        text = clean(text[:LONGEST])
        return next((found for each in self._expressions if (found := each.match(text)) is not None), None)

    def read(self, text: str) -> Record | None:
        """The record that the fields make, named as any logger would; `text` is its message where none is."""
        found = self.match(text)
        return None if found is None else of_fields(found, text)


def mask(expression: str, definitions: Mapping[str, str] | None = None) -> re.Pattern[str]:
    """What the expression finds, for `Masks`; it reads text that can be written as UTF-8.

    Raises:
        ValueError: it cannot be compiled, or finds the empty text.
    """
    pattern = _compiled(expression, definitions or {}).pattern
    if pattern.search("") is not None:
        raise ValueError(f"expected a pattern that finds something, got one that finds the empty text: {expression[:_SHOWN]}")
    return pattern


class _Field(NamedTuple):
    group: str
    name: str
    kind: str


class _Expression(NamedTuple):
    pattern: re.Pattern[str]
    instructions: int
    fields: Sequence[_Field]

    def match(self, text: str) -> Found | None:
        found = self.pattern.search(text)
        if found is None:
            return None
        values: dict[str, str | int | float] = {}
        for field in self.fields:
            if said := found.group(field.group):
                values.setdefault(field.name, _value(said, field.kind))
        return values


def _compiled(expression: str, definitions: Mapping[str, str]) -> _Expression:
    """RE2's patterns answer to the same names as those of `re`."""
    writing = _Writing({**BASE, **definitions})
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        pattern = re2.compile("".join(writing.out(expression, ())), options)
    except re2.error as error:
        raise ValueError(f"expected a pattern of RE2, got {expression[:_SHOWN]}: {_reason(error)}") from error
    if (size := pattern.programsize) > MOST_INSTRUCTIONS:
        raise ValueError(
            f"expected a pattern of at most {MOST_INSTRUCTIONS:,} instructions, got {size:,}: {expression[:_SHOWN]}"
        )
    return _Expression(cast(re.Pattern[str], pattern), size, writing.fields)


class _Writing:
    """Writes an expression out, each reference replaced by what it stands for."""

    def __init__(self, definitions: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._written = 0
        self.fields: list[_Field] = []

    def out(self, pattern: str, within: tuple[str, ...]) -> Iterator[str]:
        """The parts of `pattern`, which stands in the definitions named `within`, the outermost first.

        Raises:
            ValueError: a reference is malformed, unknown, recursive or too deep, or all of it too large.
        """
        place = 0
        for reference in _REFERENCE.finditer(pattern):
            yield self._own_groups(pattern[place : reference.start()])
            yield from self._referred(reference[1], within)
            place = reference.end()
        yield self._own_groups(pattern[place:])

    def _referred(self, reference: str, within: tuple[str, ...]) -> Iterator[str]:
        parts = _PARTS.fullmatch(reference)
        if parts is None:
            raise ValueError(f"expected %{{NAME}}, %{{NAME:field}} or %{{NAME:field:int}}, got %{{{reference}}}")
        name, field, kind = parts.groups()
        if name in within:
            raise ValueError(f"pattern {name} is made of itself: {' > '.join((*within, name))}")
        if name not in self._definitions:
            raise ValueError(f"no pattern is called {name}: define it, or use one of the base patterns")
        if len(within) >= DEEPEST:
            raise ValueError(f"patterns are nested more than {DEEPEST} deep: {' > '.join((*within, name))}")
        yield self._group(field, kind) if field else self._counted("(?:")
        yield from self.out(self._definitions[name], (*within, name))
        yield ")"

    def _own_groups(self, text: str) -> str:
        return self._counted(_OWN_GROUP.sub(lambda found: self._group(found[1], None), text))

    def _group(self, name: str, kind: str | None) -> str:
        if len(self.fields) >= MOST_FIELDS:
            raise ValueError(f"expected at most {MOST_FIELDS} fields in an expression")
        group = f"f{len(self.fields)}"
        self.fields.append(_Field(group, name.replace("][", ".").strip("[]"), kind or "string"))
        return self._counted(f"(?P<{group}>")

    def _counted(self, text: str) -> str:
        self._written += len(text)
        if self._written > LARGEST:
            raise ValueError(f"expected an expression of at most {LARGEST:,} characters, its parts written out")
        return text


def _value(said: str, kind: str) -> str | int | float:
    """A text that is no number stays text, whatever its field is called."""
    if kind == "string" or _NUMBER.fullmatch(said) is None:
        return said
    return float(said) if kind == "float" else int(float(said))


def _reason(error: re2.error) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
