"""Bodies that were sent compressed, unpacked within a bound: a small one may hold a huge one."""

import zlib

from starlette.types import Scope

from api.errors import MalformedError, TooLargeError

GZIP = b"gzip"
_ENCODING, _LENGTH = b"content-encoding", b"content-length"
_GZIP_FRAME = 16 + zlib.MAX_WBITS


def is_packed(scope: Scope) -> bool:
    return any(name == _ENCODING and value.strip().lower() == GZIP for name, value in scope["headers"])


def plain_scope(scope: Scope) -> Scope:
    """The scope without the headers that describe the packed body."""
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in {_ENCODING, _LENGTH}]}


def unpacked(body: bytes, cap: int) -> bytes:
    """The one gzip member that `body` is.

    Raises:
        TooLargeError: it holds more than `cap` bytes.
        MalformedError: it is no gzip, it is cut short, or something follows it.
    """
    unpacker = zlib.decompressobj(_GZIP_FRAME)
    try:
        plain = unpacker.decompress(body, cap + 1)
    except zlib.error:
        raise MalformedError("the body is not the gzip that its Content-Encoding promises", flaw="encoding") from None
    if len(plain) > cap:
        raise TooLargeError(f"expected a body of at most {cap} bytes once it is unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedError("expected one whole gzip member", flaw="encoding")
    return plain
