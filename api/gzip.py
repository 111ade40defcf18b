"""Bodies that were sent compressed, unpacked within a bound: a small one may hold a huge one."""

import zlib

from starlette.types import Scope

from api.errors import MalformedError, TooLargeError

GZIP = b"gzip"
_ENCODING, _LENGTH = b"content-encoding", b"content-length"
_GZIP_FRAME = 16 + zlib.MAX_WBITS
_PART = 64 * 1024
_MOST_MEMBERS = 1_000


def is_packed(scope: Scope) -> bool:
    return any(name == _ENCODING and value.strip().lower() == GZIP for name, value in scope["headers"])


def plain_scope(scope: Scope) -> Scope:
    """The scope without the headers that describe the packed body."""
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in {_ENCODING, _LENGTH}]}


def unpacked(body: bytes | bytearray, cap: int) -> bytes:
    """What the gzip members that `body` is made of hold, one after the other.

    Raises:
        TooLargeError: they hold more than `cap` bytes.
        MalformedError: it is no gzip, it is cut short, something else follows, or it has more than `_MOST_MEMBERS`.
    """
    packed, plain, at = memoryview(body), bytearray(), 0
    for _ in range(_MOST_MEMBERS):
        at = _unpack_member(packed, at, plain, cap)
        if at == len(packed):
            return bytes(plain)
    raise MalformedError(f"expected at most {_MOST_MEMBERS} gzip members", flaw="encoding")


def _unpack_member(packed: memoryview, at: int, plain: bytearray, cap: int) -> int:
    """Where the member that begins at `at` ends. Little by little, in and out: at once, what is packed yet would be copied,
    and what is unpacked would be held twice."""
    unpacker, part = zlib.decompressobj(_GZIP_FRAME), b""
    while not unpacker.eof:
        if not part:
            part = bytes(packed[at : at + _PART])
            at += len(part)
        try:
            found = unpacker.decompress(part, _PART)
        except zlib.error:
            raise MalformedError("the body is not the gzip that its Content-Encoding promises", flaw="encoding") from None
        if not part and not found:
            raise MalformedError("expected whole gzip members", flaw="encoding")
        plain += found
        if len(plain) > cap:
            raise TooLargeError(f"expected a body of at most {cap} bytes once it is unpacked")
        part = unpacker.unconsumed_tail
    return at - len(unpacker.unused_data)
