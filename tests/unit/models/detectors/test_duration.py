"""Runs that took long or short, and runs that have not ended yet."""

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detectors.contract import Finding
from models.detectors.duration import Duration
from tests.unit.models.detectors.series import START, VALUES

ODD = 0.5
DICE = random.Random(3)
RUNS = [120 * DICE.lognormvariate(0, 0.1) for _ in range(60)]


def known() -> Duration:
    detector = Duration()
    for number, seconds in enumerate(RUNS):
        detector.observe(START + timedelta(hours=number), (seconds,))
    return detector


def told(row: Sequence[float | None]) -> Finding:
    return known().observe(START + timedelta(days=30), row)


@pytest.mark.parametrize(("seconds", "said"), [(1_200.0, "took 20 min, usually 10"), (10.0, "took 10 s, usually 10")])
def test_far_longer_and_far_shorter_are_odd(seconds: float, said: str) -> None:
    """Ten times the usual and a twelfth of it; the reason says both."""
    finding = told((seconds,))

    assert finding.score > 0.7
    assert finding.reasons[0].startswith(said)


def test_a_third_longer_does_not_matter() -> None:
    """However even the runs were."""
    detector = Duration()
    findings = [detector.observe(START, (seconds,)) for seconds in (*[100.0] * 30, 133.0)]

    assert max(finding.score for finding in findings) < ODD


def test_below_a_second_all_runs_are_alike() -> None:
    """Ten milliseconds after one is ten times as long and means nothing."""
    detector = Duration()

    assert [detector.observe(START, (seconds,)) for seconds in (*[0.001] * 30, 0.01)][-1].score < ODD


def test_a_run_that_goes_on_is_odd_once_it_is_long() -> None:
    """It is never too short, and from some time on too long, with a reason that says so."""
    detector = known()
    scores = [detector.observe(START + timedelta(days=30), (None, seconds)) for seconds in (1.0, 60.0, 130.0, 1_200.0)]

    assert [finding.score >= ODD for finding in scores] == [False, False, False, True]
    assert scores[0].score == 0
    assert scores[-1].reasons[0].startswith("still going after 20 min, usually ")


@given(soon=st.floats(0, 1e6), later=st.floats(0, 1e6))
def test_a_run_that_goes_on_grows_odder(soon: float, later: float) -> None:
    """The longer it goes on the higher it scores, and no more than it will once it has ended."""
    soon, later = sorted((soon, later))

    assert told((None, soon)).score <= told((None, later)).score <= told((later,)).score


def test_a_run_that_goes_on_is_not_learnt() -> None:
    """It will be once it has ended."""
    detector = known()
    before = detector.state()
    detector.observe(START, (None, 1_200.0))

    assert detector.state() == before


def test_the_odder_of_both_speaks() -> None:
    """One run ended as usual while another goes on and on."""
    assert told((120.0, 5_000.0)) == told((None, 5_000.0))


def test_a_row_of_three_is_refused() -> None:
    """A third value would have no meaning."""
    with pytest.raises(ValueError, match="got 3 values"):
        Duration().observe(START, (1.0, 2.0, 3.0))


@given(rows=st.lists(st.tuples(VALUES, VALUES), max_size=30))
def test_any_durations_are_scored(rows) -> None:
    """Whatever is missing, negative, huge or no number."""
    detector = known()

    assert all(0 <= detector.observe(START, row).score <= 1 for row in rows)
