"""The ways a sender proves that it knows the connector's secret, each compared in constant time."""

import base64
import hmac

from domain.inbound import Inbound


def is_same(given: str, secret: str) -> bool:
    """Whether these are equal; a connector without a secret is open to nobody."""
    return bool(secret) and hmac.compare_digest(_bytes(given), _bytes(secret))


def is_bearer(inbound: Inbound, secret: str) -> bool:
    """`Authorization` holds the secret: as a bearer token, or as the password of whatever user."""
    scheme, _, credentials = inbound.headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return is_same(credentials.strip(), secret)
        case "basic":
            return bool(secret) and hmac.compare_digest(_password(credentials), _bytes(secret))
    return False


def is_signed(message: bytes, signature: str, secret: str) -> bool:
    """Whether `signature` is the HMAC-SHA256 of `message` in hexadecimal."""
    expected = hmac.new(_bytes(secret), message, "sha256").hexdigest()
    return bool(secret) and hmac.compare_digest(_bytes(signature.lower()), expected.encode())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _password(credentials: str) -> bytes:
    try:
        return base64.b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except ValueError:
        return b""
