"""A signed statement of how long a ledger was and what was in it, as a C2SP signed note."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.base import Digest, Value
from domain.errors import InvalidError
from domain.ledger import Fault, Reason

NOTE_LIMIT = 16 * 1024

Line = Annotated[str, StringConstraints(pattern=r"^[!-*,-~]{1,200}$")]  # printable ASCII, no space, no plus
Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]  # (message, signature); bound to one public key


class Checkpoint(Value):
    """`root` is the Merkle root over the first `size` entries, `head` the hash of the last of them."""

    origin: Line
    size: Annotated[int, Field(ge=1, lt=2**53)]
    root: Digest
    head: Digest

    @property
    def text(self) -> str:
        """The lines that are signed; the head is an extension line, which the format allows."""
        root = base64.b64encode(bytes.fromhex(self.root)).decode()
        return f"{self.origin}\n{self.size}\n{root}\nhead {self.head}\n"


class NoteKey(Value):
    """A signer's name and Ed25519 public key; the name need not be secret and is part of the key's id."""

    name: Line
    public_key: Annotated[bytes, Field(min_length=32, max_length=32)]

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n\x01" + self.public_key).digest()[:4]

    @property
    def text(self) -> str:
        """The verifier key as other tools of the format read it."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([1]) + self.public_key).decode()}"


def render(checkpoint: Checkpoint, *, key: NoteKey, sign: Sign) -> str:
    """The signed note."""
    signature = base64.b64encode(key.id + sign(checkpoint.text.encode())).decode()
    return f"{checkpoint.text}\n— {key.name} {signature}\n"


def parse(note: str, *, key: NoteKey, verify: Verify) -> Checkpoint:
    """The checkpoint in a note that `key` signed; signatures by others are passed over.

    Raises:
        InvalidError: it is no such note, or the signature does not count.
    """
    if len(note) > NOTE_LIMIT:
        raise InvalidError(f"expected a note of at most {NOTE_LIMIT} characters, got {len(note)}")
    text, gap, signatures = note.partition("\n\n")
    if not gap:
        raise InvalidError("expected a signed note: lines, an empty line, signatures")
    message = f"{text}\n".encode(errors="surrogatepass")
    if not any(verify(message, signature) for signature in _by(key, signatures)):
        raise InvalidError(f"no valid signature by {key.name}")
    return _read(f"{text}\n")


def key_of(text: str) -> NoteKey:
    """The key written as `name+id+base64`.

    Raises:
        InvalidError: it is written otherwise, is of another kind than Ed25519, or has another id.
    """
    name, _, rest = text.strip().partition("+")
    raw = _decoded(rest.partition("+")[2])
    try:
        key = NoteKey(name=name, public_key=raw[1:])
    except ValueError:
        raise InvalidError("expected an Ed25519 key written as name+id+base64") from None
    if key.text != text.strip():
        raise InvalidError(f"expected the key {key.text}, got one of another kind or id")
    return key


def check(checkpoint: Checkpoint, *, size: int, root: Digest, head: Digest) -> Fault | None:
    """What is wrong with a ledger of `size` entries, whose root and head `checkpoint` should have signed."""
    if size < checkpoint.size:
        message = f"{checkpoint.size} entries were signed and {size} are there"
        return Fault(seq=size + 1, reason=Reason.CUT, message=message)
    if (size, root, head) != (checkpoint.size, checkpoint.root, checkpoint.head):
        message = f"the first {checkpoint.size} entries are not those that were signed"
        return Fault(seq=checkpoint.size, reason=Reason.SIGNED, message=message)
    return None


def _by(key: NoteKey, signatures: str) -> list[bytes]:
    start = f"— {key.name} "
    raw = [_decoded(line.removeprefix(start)) for line in signatures.splitlines() if line.startswith(start)]
    return [signature[4:] for signature in raw if signature[:4] == key.id]


def _read(text: str) -> Checkpoint:
    match text.splitlines():
        case [origin, size, root, head] if size.isdecimal() and len(size) < 17:
            fields = {"origin": origin, "size": int(size), "root": _decoded(root).hex(), "head": head.removeprefix("head ")}
        case _:
            raise InvalidError("expected the four lines of a checkpoint: origin, size, root, head")
    try:
        checkpoint = Checkpoint.model_validate(fields)
    except ValueError:
        raise InvalidError("the lines of the checkpoint do not hold an origin, a size, a root and a head") from None
    if checkpoint.text != text:
        raise InvalidError("the checkpoint is not written in its one spelling")
    return checkpoint


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
