"""What holds for every detector of one series, whatever it is fed."""

import json
import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detectors import ARRIVALS, SERIES
from models.detectors.contract import Detector
from tests.unit.models.detectors.series import TAILS, Rows, after, daily, observed, steady, with_tail

ALL = SERIES | ARRIVALS
DETECTORS = pytest.mark.parametrize("detector", ALL.values(), ids=ALL)
HISTORY = daily(16)


@DETECTORS
@settings(max_examples=15, deadline=None)
@given(tail=TAILS)
def test_scores_are_scores(detector: type[Detector], tail) -> None:
    """Every row, be it missing, huge, tiny or no number, scores from 0 to 1."""
    findings = observed(detector(), with_tail(HISTORY, tail))

    assert all(0 <= finding.score <= 1 and not math.isnan(finding.score) for finding in findings)


@DETECTORS
@settings(max_examples=15, deadline=None)
@given(tail=TAILS, share=st.floats(min_value=0, max_value=1))
def test_the_future_plays_no_part(detector: type[Detector], tail, share: float) -> None:
    """The findings of a beginning are the beginning of the findings."""
    rows = with_tail(HISTORY, tail)
    some = int(share * len(rows))

    assert observed(detector(), rows[:some]) == observed(detector(), rows)[:some]


@DETECTORS
@settings(max_examples=15, deadline=None)
@given(tail=TAILS, share=st.floats(min_value=0, max_value=1))
def test_a_restored_detector_goes_on_alike(detector: type[Detector], tail, share: float) -> None:
    """A detector restored from its state as JSON text finds in what follows just what the first one finds."""
    rows = with_tail(HISTORY, tail)
    some = int(share * len(rows))
    first = detector()
    observed(first, rows[:some])
    second = detector.restored(json.loads(json.dumps(first.state())))

    assert observed(second, rows[some:]) == observed(first, rows[some:])
    assert second.state() == first.state()


@DETECTORS
def test_the_state_stops_growing(detector: type[Detector]) -> None:
    """After 4,000 rows a detector knows no more numbers than after 12,000."""
    rows = steady(12_000, step=timedelta(minutes=15))
    watcher = detector()
    observed(watcher, rows[:4_000])
    early = _numbers(watcher.state())
    observed(watcher, rows[4_000:])

    assert _numbers(watcher.state()) <= early * 1.05


@pytest.mark.parametrize("detector", SERIES.values(), ids=SERIES)
def test_a_missing_value_is_not_a_zero(detector: type[Detector]) -> None:
    """Missing values score nothing, are never learnt, and leave the next value as usual as it was."""
    gap: Rows = after(HISTORY, *[None] * 48)
    watcher = detector()
    before = observed(watcher, HISTORY)
    missing = observed(watcher, gap)
    back = observed(watcher, after(gap, HISTORY[0][1]))

    assert all(finding.score == 0 for finding in missing)
    assert back[0].score <= max(finding.score for finding in before)


def _numbers(state: object) -> int:
    """How many plain values a state holds."""
    match state:
        case dict():
            return sum(_numbers(each) for each in state.values())
        case list():
            return sum(_numbers(each) for each in state)
    return 1
