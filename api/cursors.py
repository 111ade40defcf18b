"""Lists go on where they stopped: an opaque cursor that only the list it was made for accepts."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import JsonValue

from api.errors import CursorError
from domain.base import OrgId, Value

T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=200, description="how many items one page holds")]
After = Annotated[str | None, Query(alias="cursor", max_length=1024, description="`next` of the page before")]
DEFAULT_LIMIT = 50
_MAC = 32


class Page(Value, Generic[T]):
    """Some items, and the cursor of those that follow; `next` is null on the last page."""

    items: tuple[T, ...]
    next: str | None = None


class Listing(Value):
    """Which list a cursor belongs to."""

    org: OrgId
    route: str
    filters: Mapping[str, JsonValue] = {}


class Cursors:
    """Seals positions with the server's key and opens only what it sealed."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError(f"expected a cursor key of at least 32 bytes, got {len(key)}")
        self._key = key

    def seal(self, listing: Listing, position: tuple[str, ...]) -> str:
        """The cursor that names the last item shown by its sort key."""
        payload = json.dumps(position).encode()
        return base64.urlsafe_b64encode(self._mac(listing, payload) + payload).rstrip(b"=").decode()

    def open(self, listing: Listing, cursor: str) -> tuple[str, ...]:
        """The position inside a cursor.

        Raises:
            CursorError: it is not ours, or was made for another org, route or filter.
        """
        sealed = _decode(cursor)
        if not hmac.compare_digest(sealed[:_MAC], self._mac(listing, sealed[_MAC:])):
            raise _refused()
        return tuple(json.loads(sealed[_MAC:]))

    def _mac(self, listing: Listing, payload: bytes) -> bytes:
        scope = json.dumps([listing.org.shown, listing.route, dict(listing.filters)], sort_keys=True).encode()
        return hmac.digest(self._key, hashlib.sha256(scope).digest() + payload, "sha256")


def _decode(cursor: str) -> bytes:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused() from None


def _refused() -> CursorError:
    return CursorError("the cursor does not belong to this list: start again without it", pointer="query:cursor")
