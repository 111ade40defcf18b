"""What is kept of a stage's output: head, tail, size and digest, with its secrets blacked out on the way."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from domain.base import Digest
from domain.stage import OUTPUT_KEPT

REDACTED = b"[redacted]"
_TELLING = 4


class Redactor:
    """Replaces secrets in a stream, also where one is split over two chunks or overlaps another."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple({form for secret in secrets for form in _forms(secret)})
        self._held = max((len(secret) for secret in self._secrets), default=1) - 1
        self._pending, self._covered = b"", 0

    def feed(self, chunk: bytes) -> bytes:
        """The part of the stream that no later chunk can turn into a secret."""
        return self._release(self._pending + chunk, keep=self._held)

    def close(self) -> bytes:
        return self._release(self._pending, keep=0)

    def _release(self, text: bytes, *, keep: int) -> bytes:
        safe = max(0, len(text) - keep)
        pieces, position = [], 0
        for start, end in self._spans(text):
            if start >= safe:
                break
            pieces.append(text[position:start])
            if start or not self._covered:
                pieces.append(REDACTED)
            position = end
        if safe:
            pieces.append(text[position:safe])
            # What a span covers of the held part is already told, and may still be the start of another secret.
            self._covered = max(0, position - safe)
        self._pending = text[safe:]
        return b"".join(pieces)

    def _spans(self, text: bytes) -> list[tuple[int, int]]:
        found = [span for secret in self._secrets if secret in text for span in _spans(secret, text)]
        return _merged([(0, self._covered), *found] if self._covered else found)


def _forms(secret: str) -> Iterable[bytes]:
    """The secret, and its lines: a log writer indents or splits them. A line like `}` is no secret."""
    yield from (line.strip().encode() for line in secret.splitlines() if len(line.strip()) >= _TELLING)
    if secret.strip():
        yield secret.strip().encode()


def _spans(secret: bytes, text: bytes) -> Iterable[tuple[int, int]]:
    start = text.find(secret)
    while start >= 0:
        yield start, start + len(secret)
        start = text.find(secret, start + 1)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


@dataclass(frozen=True)
class Captured:
    head: str
    tail: str
    size: int
    digest: Digest
    truncated: bool


class Capture:
    """Takes any amount of output and holds at most a head and a tail of it.

    The digest covers the redacted output: over the raw one it would let a reader test guesses of a secret.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._redactor = Redactor(secrets)
        self._head, self._tail = bytearray(), bytearray()
        self._size, self._seen, self._hash = 0, 0, hashlib.sha256()

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._take(self._redactor.feed(chunk))

    def close(self) -> Captured:
        self._take(self._redactor.close())
        return Captured(
            head=_text(self._head)[0],
            tail=_text(self._tail)[1],
            size=self._size,
            digest=self._hash.hexdigest(),
            truncated=self._seen > len(self._head) + len(self._tail),
        )

    def _take(self, text: bytes) -> None:
        self._hash.update(text)
        self._seen += len(text)
        room = OUTPUT_KEPT - len(self._head)
        self._head += text[:room]
        self._tail += text[room:][-OUTPUT_KEPT:]
        del self._tail[:-OUTPUT_KEPT]


def with_note(tail: str, note: str) -> str:
    """`tail` with one line of ours at its end, still within the bound."""
    return _text(f"{tail}\nsuture: {note}\n".encode())[1].removeprefix("\n" if not tail else "")


def _text(content: bytes | bytearray) -> tuple[str, str]:
    """The first and the last of `content` as text; no NUL, which a text column cannot hold."""
    text = content.decode(errors="replace").replace("\x00", "\ufffd").encode()
    return text[:OUTPUT_KEPT].decode(errors="ignore"), text[-OUTPUT_KEPT:].decode(errors="ignore")
