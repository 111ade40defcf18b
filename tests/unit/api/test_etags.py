"""A stale writer is refused, a fresh reader is spared the body."""

import pytest

from api.errors import MalformedError, PreconditionRequiredError
from api.etags import check_match, demand_match, etag_of, is_unchanged, not_modified
from domain.errors import PreconditionFailedError

CURRENT = etag_of("a" * 64)
OTHER = etag_of("b" * 64)


@pytest.mark.parametrize("sent", [None, "*", CURRENT, f"{OTHER}, {CURRENT}", f"  {CURRENT}  ,{OTHER}"])
def test_a_match_passes(sent: str | None) -> None:
    """No header, any version, or the right one among others."""
    check_match(sent, current=CURRENT)


@pytest.mark.parametrize("sent", [OTHER, f"W/{CURRENT}", '""'])
def test_a_stale_or_weak_tag_is_refused(sent: str) -> None:
    """If-Match compares strongly."""
    with pytest.raises(PreconditionFailedError):
        check_match(sent, current=CURRENT)


@pytest.mark.parametrize("sent", ["", "a" * 64, '"a', "'a'", '"a" "b"', '"\x00"', '"é', ", ".join(f'"{n}"' for n in range(30))])
def test_what_is_no_list_of_tags_is_malformed(sent: str) -> None:
    """A header that cannot be read protects nothing, so it is refused."""
    with pytest.raises((MalformedError, PreconditionFailedError)):
        check_match(sent, current=CURRENT)


def test_where_it_is_demanded_it_may_not_be_missing() -> None:
    """428 without the header, the same check with it."""
    with pytest.raises(PreconditionRequiredError):
        demand_match(None, current=CURRENT)
    with pytest.raises(PreconditionFailedError):
        demand_match(OTHER, current=CURRENT)


@pytest.mark.parametrize(
    ("sent", "unchanged"), [(None, False), (OTHER, False), (CURRENT, True), (f"W/{CURRENT}", True), ("*", True)]
)
def test_a_reader_who_holds_it_gets_304(sent: str | None, *, unchanged: bool) -> None:
    """If-None-Match compares weakly."""
    assert is_unchanged(sent, current=CURRENT) is unchanged


def test_304_names_the_version() -> None:
    """And has no body."""
    response = not_modified(CURRENT)

    assert (response.status_code, response.headers["etag"], response.body) == (304, CURRENT, b"")
