"""The times that senders write are read; what no clock shows is none."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.times import instant

MEANT = datetime(2026, 11, 20, 10, 3, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-20T10:03:20Z",
        "2026-11-20T10:03:20.000000000Z",
        "2026-11-20T11:03:20+01:00",
        "2026-11-20T10:03:20.000+0000",
        "2026-11-20 10:03:20 UTC",
        "2026-11-20 12:03:20 +0200",
        "2026-11-20T10:03:20",
        " 2026-11-20T10:03:20Z ",
        1795169000,
        1795169000.0,
        1795169000_000,
        1795169000_000_000,
        1795169000_000_000_000,
        "1795169000",
        "1795169000.0",
        "1795169000000000000",
    ],
)
def test_every_way_to_write_a_time_means_the_same(written):
    """RFC 3339 and its relatives; seconds to nanoseconds, as a number or as text."""
    assert instant(written) == MEANT


@pytest.mark.parametrize(
    "written",
    [
        None, True, "", "soon", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1969-12-31",
        "1999-12-31T23:59:59Z", 0, -1, 1, 2**63, 10**30, 10**4000, -(10**4000), 1e308, float("nan"), float("inf"), "²",
        "1" * 30, [], {},
        "2026-02-30T00:00:00Z", "2026-11-20T25:00:00Z", "2026-11-20T10:03:20+99:99", "x" * 100_000,
    ],
)  # fmt: skip
def test_what_no_clock_shows_is_no_time(written):
    """The year 0001 means not yet; the rest means nothing."""
    assert instant(written) is None


@given(st.one_of(st.text(), st.integers(), st.floats(), st.datetimes().map(str)))
def test_anything_is_answered(written):
    """With a time in UTC of this century, or with none."""
    read = instant(written)
    assert read is None or (read.tzinfo is UTC and 2000 <= read.year < 2100)
