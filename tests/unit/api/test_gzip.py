"""Packed bodies: whole members, one or many, within a bound."""

import gzip

import pytest

from api.errors import MalformedError, TooLargeError
from api.gzip import unpacked

CAP = 1024 * 1024


@pytest.mark.parametrize("parts", [[b""], [b"a"], [b"a", b"", b"b" * 200_000], [b"x" * CAP], [b"ab"] * 1_000])
def test_members_are_unpacked_one_after_the_other(parts):
    """As a sender joins what it has packed in parts."""
    assert unpacked(b"".join(map(gzip.compress, parts)), CAP) == b"".join(parts)


@pytest.mark.parametrize("parts", [[b"x" * (CAP + 1)], [b"x" * CAP, b"x"], [b"x" * CAP] * 3])
def test_members_hold_no_more_than_the_cap(parts):
    """All together."""
    with pytest.raises(TooLargeError):
        unpacked(b"".join(map(gzip.compress, parts)), CAP)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain",
        gzip.compress(b"a")[:-1],
        gzip.compress(b"a") + b"\x00",
        gzip.compress(b"a") + gzip.compress(b"b")[:9],
        gzip.compress(b"") * 1_001,
        gzip.compress(b"a")[:-8] + bytes(8),
    ],
    ids=["nothing", "plain", "cut", "more", "the second cut", "too many", "a wrong sum"],
)
def test_what_is_no_such_body_is_malformed(body):
    """Nothing of it is taken."""
    with pytest.raises(MalformedError):
        unpacked(body, CAP)
