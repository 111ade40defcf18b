"""The Ed25519 key that signs checkpoints and receipts, kept in a file."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from adapters.private_file import read_or_create
from domain.errors import InvalidError


class Ed25519Signer:
    """Signs with the key in `key_file`, a PEM file of mode 0600 that is made if there is none."""

    def __init__(self, key_file: Path) -> None:
        self._key = _load(read_or_create(key_file, _generate), key_file)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def verify(self, message: bytes, signature: bytes) -> bool:
        return verified(self.public_key, message, signature)


def verified(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of `public_key` signed `message`; all that an offline check needs."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _generate() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load(pem: bytes, path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except ValueError:
        raise InvalidError(f"{path} does not hold a private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidError(f"{path} holds a private key of another kind than Ed25519")
    return key
