"""JSON as RFC 8259 meant it and PostgreSQL can store it: UTF-8, unique keys, finite int64 numbers, bounded, no NUL."""

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, cast

from pydantic import JsonValue

from api.errors import MalformedError
from api.problems import pointer

DEEPEST = 32
MOST_PARTS = 200_000
_BOM = b"\xef\xbb\xbf"
_INT64 = 2**63
# Every alternative always advances (an unclosed string runs to the end), so the scan is linear on any input.
_PARTS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class _Flaw(NamedTuple):
    """Stands in the parsed tree where something was wrong, so that its place can be told."""

    code: str
    message: str
    key: str | None = None


class _FlawedError(ValueError):
    """There is something wrong somewhere in the body."""


def parse(raw: bytes) -> JsonValue:
    """The value of a JSON body.

    Raises:
        MalformedError: with the place and the kind of the flaw, never the value.
    """
    text = text_of(raw)
    _check_size(text)
    if not _SUSPECT.search(text):
        with suppress(_FlawedError):
            return cast(JsonValue, _read(text, _FLAWLESS))
    return _read_closely(text)


def _read(text: str, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON at line {error.lineno}, column {error.colno}", flaw="syntax") from None


def _read_closely(text: str) -> JsonValue:
    """With a mark in the place of each flaw, so that the place of the first can be told."""
    value = _read(text, _decoder(_Flaw))
    _refuse_flaw(value)
    return cast(JsonValue, value)


def _decoder(flaw: Callable[..., Any]) -> json.JSONDecoder:
    """`flaw` gives what stands for something wrong, or raises."""

    def integer(digits: str) -> Any:
        number = int(digits) if len(digits) <= 20 else _INT64
        return number if -_INT64 <= number < _INT64 else flaw("int64", "the whole number does not fit into 64 bits")

    def real(digits: str) -> Any:
        number = float(digits)
        return number if math.isfinite(number) else flaw("not_finite", "the number is not finite")

    def constant(name: str) -> Any:
        return flaw("not_finite", "NaN and Infinity are not JSON")

    def members(pairs: list[tuple[str, Any]]) -> Any:
        found = dict(pairs)
        return found if len(found) == len(pairs) else flaw("duplicate_key", "the key appears twice", _repeated(pairs))

    return json.JSONDecoder(parse_int=integer, parse_float=real, parse_constant=constant, object_pairs_hook=members)


def _give_up(*_: object) -> None:
    raise _FlawedError


_FLAWLESS = _decoder(_give_up)  # reads what is nearly always sent, at twice the speed


def text_of(raw: bytes) -> str:
    """A text body: UTF-8 without byte order mark and NUL."""
    if raw.startswith(_BOM):
        raise MalformedError("expected UTF-8 without a byte order mark", flaw="encoding")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"expected UTF-8, byte {error.start} is not", flaw="encoding") from None
    if "\x00" in text:
        raise MalformedError("expected UTF-8 text without NUL", flaw="encoding")
    return text


def _check_size(text: str) -> None:
    if text.count("[") + text.count("{") <= DEEPEST and len(text) <= MOST_PARTS:
        return
    depth = 0
    for count, part in enumerate(_PARTS.finditer(text)):
        letter = part[0][0]
        depth += (letter in "[{") - (letter in "]}")
        if depth > DEEPEST:
            raise MalformedError(f"nested deeper than {DEEPEST}", flaw="too_deep")
        if count > MOST_PARTS:
            raise MalformedError(f"more than {MOST_PARTS} strings, brackets and commas", flaw="too_many")


def _repeated(pairs: list[tuple[str, Any]]) -> str | None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return None


def _refuse_flaw(value: Any) -> None:
    for found, steps in _walk(value, ()):
        if isinstance(found, _Flaw):
            place = steps if found.key is None else (*steps, found.key)
            raise MalformedError(found.message, pointer=pointer(*place), flaw=found.code)
        if isinstance(found, str) and _UNSTORABLE.search(found):
            raise MalformedError("the text holds NUL or half a character", pointer=pointer(*steps), flaw="unstorable")


def _walk(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[Any, tuple[str | int, ...]]]:
    """Every scalar, key and flaw with its place; at most `DEEPEST` generators deep."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield key, (*steps, key)
            yield from _walk(member, (*steps, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _walk(member, (*steps, index))
    else:
        yield value, steps
