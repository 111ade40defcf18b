"""One spelling for each JSON value (RFC 8785), so that equal values have equal digests."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import rfc8785
from pydantic import BaseModel

from domain.base import Digest
from domain.errors import InvalidError

_FLAT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_SAFE = 2**53


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON-like value or a `Value`; sets are written sorted.

    Raises:
        InvalidError: it holds NaN, an infinity, an integer beyond 2^53, a lone surrogate or something JSON has no word for.
    """
    try:
        plain = _plain(value)
        return _FLAT.encode(plain).encode() if _is_flat(plain) else rfc8785.dumps(plain)
    except RecursionError:
        raise InvalidError("cannot be written as canonical JSON: nested too deeply") from None
    except ValueError as error:
        raise InvalidError(f"cannot be written as canonical JSON: {_reason(error)}") from None


def digest(value: Any) -> Digest:
    """SHA-256 of the canonical spelling, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _is_flat(plain: Any) -> bool:
    """Whether the encoder in C writes the same bytes: it differs on floats and on the order of keys beyond ASCII only."""
    return type(plain) is dict and all(type(key) is str and key.isascii() and _is_simple(plain[key]) for key in plain)


def _is_simple(value: Any) -> bool:
    return type(value) is str or value is None or (type(value) is int and -_SAFE < value < _SAFE)


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return _sorted_sets(value.model_dump(mode="json"), value)
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value


def _sorted_sets(plain: Any, source: Any) -> Any:
    """`plain` is how pydantic wrote `source`; a set comes out in an order that differs from process to process."""
    match plain, source:
        case dict(), BaseModel():
            return {name: _sorted_sets(inner, getattr(source, name, None)) for name, inner in plain.items()}
        case dict(), Mapping():
            return {key: _sorted_sets(*pair) for key, *pair in zip(plain, plain.values(), source.values(), strict=True)}
        case list(), list() | tuple():
            return [_sorted_sets(*pair) for pair in zip(plain, source, strict=True)]
        case list(), set() | frozenset():
            return sorted((_sorted_sets(*pair) for pair in zip(plain, source, strict=True)), key=rfc8785.dumps)
    return plain


def _reason(error: ValueError) -> str:
    """Never the value itself: it may be a secret."""
    match error:
        case rfc8785.IntegerDomainError():
            return "an integer beyond 2^53"
        case rfc8785.FloatDomainError():
            return "NaN or an infinity"
        case UnicodeEncodeError():
            return "a lone surrogate"
    return "a lone surrogate" if isinstance(error.__cause__, UnicodeEncodeError) else str(error)
