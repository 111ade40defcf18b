"""Bodies that were sent compressed, unpacked within a bound: a small one may hold a huge one."""

import zlib
from collections.abc import Iterator

from starlette.types import Scope

from api.errors import MalformedError, TooLargeError

GZIP = b"gzip"
_ENCODING, _LENGTH = b"content-encoding", b"content-length"
_GZIP_FRAME = 16 + zlib.MAX_WBITS
_SLICE = 64 * 1024


def is_packed(scope: Scope) -> bool:
    return any(name == _ENCODING and value.strip().lower() == GZIP for name, value in scope["headers"])


def plain_scope(scope: Scope) -> Scope:
    """The scope without the headers that describe the packed body."""
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in {_ENCODING, _LENGTH}]}


def unpacked(body: bytes | bytearray, cap: int) -> bytes:
    """The one gzip member that `body` is.

    Raises:
        TooLargeError: it holds more than `cap` bytes.
        MalformedError: it is no gzip, it is cut short, or something follows it.
    """
    unpacker, plain = zlib.decompressobj(_GZIP_FRAME), bytearray()
    try:
        for part in _parts(unpacker, body):
            plain += part
            if len(plain) > cap:
                raise TooLargeError(f"expected a body of at most {cap} bytes once it is unpacked")
    except zlib.error:
        raise MalformedError("the body is not the gzip that its Content-Encoding promises", flaw="encoding") from None
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedError("expected one whole gzip member", flaw="encoding")
    return bytes(plain)


def _parts(unpacker: "zlib._Decompress", body: bytes | bytearray) -> Iterator[bytes]:
    """Little by little: at once, what is packed yet would be copied, and what is unpacked would be held twice."""
    for start in range(0, len(body), _SLICE):
        packed, is_more = bytes(body[start : start + _SLICE]), True
        while is_more:
            part = unpacker.decompress(packed, _SLICE)
            packed, is_more = unpacker.unconsumed_tail, len(part) == _SLICE
            yield part
