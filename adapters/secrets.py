"""Secrets at rest: columns sealed under an org's data key, data keys wrapped under the master key."""

import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.private_file import read_or_create
from domain.errors import InvalidError

_VERSION = b"\x01"
_KEY, _NONCE, _TAG, _MARK = 32, 12, 16, 8


def new_key() -> bytes:
    """A data key."""
    return AESGCM.generate_key(bit_length=8 * _KEY)


class MasterKeyFile:
    """Wraps data keys under a master key in a file of mode 0600, which is made if there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key = _master(read_or_create(path, lambda: secrets.token_hex(_KEY).encode() + b"\n"), path)
        self._mark = hashlib.sha256(b"suture master key" + self._key).digest()[:_MARK]

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        """`key`, encrypted; it unwraps under the same context only."""
        if len(key) != _KEY:
            raise InvalidError(f"expected a data key of {_KEY} bytes, got {len(key)}")
        header = _VERSION + self._mark
        return header + encrypt(self._key, key, header + context)

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The data key that was wrapped under `context`.

        Raises:
            InvalidError: it was wrapped under another master key or context, or was altered.
        """
        header, rest = wrapped[: 1 + _MARK], wrapped[1 + _MARK :]
        if header[:1] == _VERSION and header[1:] != self._mark:
            raise InvalidError(f"the data key was wrapped under another master key than the one in {self._path}")
        return decrypt(self._key, rest, header + context)


def seal(key: bytes, key_id: str, plaintext: bytes, aad: bytes) -> bytes:
    """What a column holds: version, key id, nonce, ciphertext; `aad` says which row and column it is."""
    name = key_id.encode()
    if not 0 < len(name) < 256:
        raise InvalidError(f"expected a key id of 1 to 255 bytes, got {len(name)}")
    header = _VERSION + bytes([len(name)]) + name
    return header + encrypt(key, plaintext, header + aad)


def sealed_with(sealed: bytes) -> str:
    """The id of the key that `sealed` needs."""
    return _header(sealed)[2:].decode(errors="replace")


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """What was sealed under `key` and `aad`.

    Raises:
        InvalidError: another key, another row or column, or an altered ciphertext.
    """
    header = _header(sealed)
    return decrypt(key, sealed[len(header) :], header + aad)


def encrypt(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """AES-256-GCM with a random nonce in front."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def decrypt(key: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    """What `encrypt` was given.

    Raises:
        InvalidError: another key, other associated data, or an altered ciphertext.
    """
    if len(ciphertext) < _NONCE + _TAG:
        raise InvalidError(f"expected a ciphertext of at least {_NONCE + _TAG} bytes, got {len(ciphertext)}")
    try:
        return AESGCM(key).decrypt(ciphertext[:_NONCE], ciphertext[_NONCE:], aad)
    except InvalidTag:
        raise InvalidError("the ciphertext is not authentic: another key, another place, or altered") from None


def _header(sealed: bytes) -> bytes:
    if len(sealed) < 3 or sealed[:1] != _VERSION:
        raise InvalidError("expected a sealed value of version 1")
    return sealed[: 2 + sealed[1]]


def _master(content: bytes, path: Path) -> bytes:
    text = content.strip()
    try:
        key = bytes.fromhex(text.decode())
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise InvalidError(f"expected {2 * _KEY} hexadecimal digits in {path}")
    return key
