"""A cursor opens only the list it was made for."""

import base64

import pytest

from api.cursors import Cursors, Listing, Page
from api.errors import CursorError
from domain.base import OrgId

KEY = b"k" * 32
LISTING = Listing(org=OrgId(int=1), route="incidents", filters={"status": "open", "limit": 5})
POSITION = ("2026-11-21T00:00:00Z", "inc_é")


def test_a_cursor_opens_where_it_was_sealed() -> None:
    """The position comes back as it was, whatever the order of the filters."""
    cursors = Cursors(KEY)
    again = Listing(org=OrgId(int=1), route="incidents", filters={"limit": 5, "status": "open"})

    assert cursors.open(again, cursors.seal(LISTING, POSITION)) == POSITION


@pytest.mark.parametrize(
    "other",
    [
        LISTING.model_copy(update={"org": OrgId(int=2)}),
        LISTING.model_copy(update={"route": "plans"}),
        LISTING.model_copy(update={"filters": {"status": "closed", "limit": 5}}),
        LISTING.model_copy(update={"filters": {}}),
    ],
)
def test_a_cursor_of_another_list_is_refused(other: Listing) -> None:
    """Another org's, route's or filter's cursor is no cursor here."""
    cursors = Cursors(KEY)

    with pytest.raises(CursorError):
        cursors.open(other, cursors.seal(LISTING, POSITION))


def test_every_altered_character_is_noticed() -> None:
    """No bit of a cursor can be changed."""
    cursors = Cursors(KEY)
    sealed = base64.urlsafe_b64decode(cursors.seal(LISTING, ("a",)) + "==")

    for at in range(len(sealed)):
        forged = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(CursorError):
            cursors.open(LISTING, base64.urlsafe_b64encode(forged).decode().rstrip("="))


@pytest.mark.parametrize("cursor", ["", "a", "é", "' OR 1=1 --", "AAAA", "\x00", "\ud800", "=" * 99, "A" * 1000])
def test_nonsense_is_refused(cursor: str) -> None:
    """What is no cursor is refused without an accident."""
    with pytest.raises(CursorError):
        Cursors(KEY).open(LISTING, cursor)


def test_another_server_key_opens_nothing() -> None:
    """Only the key that sealed opens; a short key is no key."""
    with pytest.raises(CursorError):
        Cursors(b"z" * 32).open(LISTING, Cursors(KEY).seal(LISTING, POSITION))
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Cursors(b"short")


def test_a_page_says_what_follows() -> None:
    """The last page has no next."""
    assert Page[int](items=(1, 2)).model_dump() == {"items": (1, 2), "next": None}
