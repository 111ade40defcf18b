"""Runs that were begun and do not end."""

from datetime import datetime, timedelta

import pytest

from models.detectors.contract import Finding
from models.detectors.unended import Unended
from tests.unit.models.detectors.series import START

ODD = 0.5
BEGIN, END = 1.0, 0.0
TOOK = timedelta(minutes=10)


@pytest.fixture
def nightly() -> Unended:
    """A run of ten minutes every hour for two days, and one more that was begun."""
    detector = Unended()
    for number in range(48):
        detector.observe(START + timedelta(hours=number), (BEGIN,))
        detector.observe(START + timedelta(hours=number) + TOOK, (END,))
    detector.observe(_last(), (BEGIN,))
    return detector


def asked(detector: Unended, after: timedelta) -> Finding:
    return detector.observe(_last() + after, (None,))


def _last() -> datetime:
    return START + timedelta(hours=48)


def test_a_run_that_does_not_end_is_odd_once_it_is_long(nightly: Unended) -> None:
    """Not after nine minutes, and after an hour; the reason says since when and what is usual."""
    assert asked(nightly, timedelta(minutes=9)).score < ODD
    assert asked(nightly, timedelta(hours=1)).score > ODD
    assert asked(nightly, timedelta(hours=3)).reasons == ("still going after 3 h, usually 10 min to 10 min",)


def test_nobody_waits_for_a_run_that_ended(nightly: Unended) -> None:
    """However long ago that was."""
    nightly.observe(_last() + TOOK, (END,))

    assert asked(nightly, timedelta(days=3)).score == 0


def test_a_run_that_ends_late_is_scored_as_it_ends(nightly: Unended) -> None:
    """Also when nobody asked meanwhile."""
    finding = nightly.observe(_last() + timedelta(hours=5), (END,))

    assert finding.score > ODD
    assert finding.reasons[0].startswith("took 5 h, usually ")


def test_a_run_that_another_follows_never_ended(nightly: Unended) -> None:
    """It is scored when the next begins and not learnt; the next is timed from its own beginning."""
    followed = nightly.observe(_last() + timedelta(days=2), (BEGIN,))

    assert followed.score > ODD
    assert nightly.observe(_last() + timedelta(days=2) + TOOK, (END,)).score < ODD


def test_an_end_without_a_beginning_is_no_end() -> None:
    """It scores nothing and teaches nothing."""
    detector = Unended()
    before = detector.state()

    assert detector.observe(START, (END,)).score == 0
    assert detector.state() == before
