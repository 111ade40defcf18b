"""The head of a request is looked at before its body is read: its size, its target, its encoding."""

import re
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from api.errors import HeadersTooLargeError, MalformedError, TargetTooLongError, UnsupportedMediaError
from domain.base import Value
from domain.errors import NotFoundError

# A path that another reader could understand differently names nothing here: encoded dots, slashes, percent signs.
_TRICK = re.compile(rb"//|;|\\|%(?:2e|2f|3b|5c|25)|/\.{1,2}(?:/|$)", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class HeadLimits(Value):
    """How large a head may be. The server's own parser must allow more, or it answers a bare 400 first."""

    count: int = 100
    one: int = 8 * 1024
    all: int = 32 * 1024
    target: int = 4 * 1024


def check_head(scope: Scope, limits: HeadLimits, *, encodings: frozenset[bytes]) -> None:
    """Refuse a head that is too large, ambiguous, or whose body has another encoding than none and `encodings`."""
    _check_sizes(scope["headers"], limits)
    path: bytes = (scope.get("raw_path") or scope["path"].encode()).split(b"?")[0]
    if len(path) + len(scope["query_string"]) > limits.target:
        raise TargetTooLongError(f"expected path and query of at most {limits.target} bytes")
    if _TRICK.search(path) or not _is_text(path):
        raise NotFoundError("ambiguous path")
    if not _is_text(scope["query_string"]):
        raise MalformedError("expected the query in UTF-8 without control characters", pointer="query:", flaw="encoding")
    _check_encoding(scope["headers"], encodings)


def _check_sizes(headers: list[tuple[bytes, bytes]], limits: HeadLimits) -> None:
    sizes = [len(name) + len(value) for name, value in headers]
    if len(sizes) > limits.count or sum(sizes) > limits.all or max(sizes, default=0) > limits.one:
        raise HeadersTooLargeError(f"expected {limits.count} headers of {limits.one} bytes, {limits.all} in all, at most")


def _is_text(quoted: bytes) -> bool:
    try:
        return _CONTROL.search(unquote_to_bytes(quoted).decode()) is None
    except UnicodeDecodeError:
        return False


def _check_encoding(headers: list[tuple[bytes, bytes]], encodings: frozenset[bytes]) -> None:
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"} | encodings:
            taken = b" or ".join(sorted(encodings)).decode()
            raise UnsupportedMediaError(f"expected a body without Content-Encoding{f' other than {taken}' if taken else ''}")
