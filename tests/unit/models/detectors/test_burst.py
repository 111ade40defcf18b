"""When so many errors are odd, and when they are not."""

import json
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detectors.burst import Burst
from models.detectors.contract import Finding
from models.detectors.rate import Rate
from tests.unit.models.detectors.series import START, VALUES

ODD = 0.5
TEN_SECONDS = timedelta(seconds=10)
DICE = random.Random(4)
SOME = [float(DICE.choice((0, 0, 0, 1, 1, 2, 3))) for _ in range(500)]


def told(detector: Burst, counts: list[float], tries: list[float] | None = None) -> list[Finding]:
    rows = [(count,) for count in counts] if tries is None else list(zip(counts, tries, strict=True))
    return [detector.observe(START + TEN_SECONDS * number, row) for number, row in enumerate(rows)]


def poisson(mean: float, times: int, seed: int) -> list[float]:
    """Counts of events that come at random."""
    dice = random.Random(seed)
    return [float(sum(dice.random() < mean / 1_000 for _ in range(1_000))) for _ in range(times)]


def test_a_burst_is_odd_in_its_first_interval() -> None:
    """The reason says how many, in what time, and how many there usually are."""
    findings = told(Burst(), [*SOME, 41.0])

    assert findings[-1].score > 0.8
    assert findings[-1].reasons == ("41 errors in 10 s, usually at most 3",)
    assert max(finding.score for finding in findings[:-1]) < ODD


def test_the_first_interval_of_all_can_be_a_burst() -> None:
    """Without any history forty errors are odd, and six are not."""
    forty, six = told(Burst(), [40.0])[0], told(Burst(), [6.0])[0]

    assert forty.score > ODD
    assert forty.reasons == ("40 errors in 10 s, the first that is known",)
    assert six.score < ODD


def test_four_errors_after_none_at_all_are_no_burst() -> None:
    """A thing that never failed may fail a few times; thirty times is a burst."""
    few, many = told(Burst(), [*[0.0] * 2_000, 4.0])[-1], told(Burst(), [*[0.0] * 2_000, 30.0])[-1]

    assert few.score == 0
    assert many.score > ODD


def test_a_thing_that_always_fails_much_is_known_soon() -> None:
    """After some intervals of a thousand errors another of eleven hundred is not odd."""
    assert told(Burst(), [*[1_000.0] * 20, 1_100.0])[-1].score < ODD


@pytest.mark.parametrize("mean", [0.02, 1.0, 60.0])
def test_chance_alone_is_seldom_odd(mean: float) -> None:
    """Of 5,000 intervals of errors that come at random at most two are odd."""
    assert sum(finding.score >= ODD for finding in told(Burst(), poisson(mean, 5_000, seed=1))) <= 2


def test_a_thing_that_fails_in_clumps_is_judged_by_its_clumps() -> None:
    """Where errors come by the dozen, a dozen is usual and ten dozen are not."""
    dice = random.Random(2)
    clumps = [float(dice.choice((0, 0, 12, 24))) for _ in range(400)]
    findings = told(Burst(), [*clumps, 24.0, 240.0])

    assert findings[-2].score < ODD
    assert findings[-1].score > ODD


def test_one_burst_does_not_hide_the_next() -> None:
    """The second burst, half an hour after the first, is odd too."""
    assert told(Burst(), [*SOME, 41.0, *SOME[:180], 41.0])[-1].score > ODD


def test_a_storm_that_goes_on_is_usual_in_the_end() -> None:
    """Of a hundred intervals alike the first ones are odd and the last ones are not."""
    findings = told(Burst(), [*SOME, *[41.0] * 100])[-100:]

    assert all(finding.score >= ODD for finding in findings[:5])
    assert all(finding.score < ODD for finding in findings[-50:])


def test_more_traffic_with_its_share_of_errors_is_no_burst() -> None:
    """Five times the tries with five times the errors are usual; four times the errors of as many tries are not."""
    tries = poisson(200, 300, seed=3)
    errors = [float(sum(DICE.random() < 0.02 for _ in range(int(total)))) for total in tries]
    known = (errors, tries)
    busy, broken = (told(Burst(), [*known[0], count], [*known[1], of])[-1] for count, of in ((20.0, 1_000.0), (30.0, 200.0)))

    assert busy.score < ODD
    assert broken.score > ODD
    assert broken.reasons[0].startswith("30 of 200 failed in 10 s: 15 %, usually at most ")


def test_an_interval_that_runs_is_scored_and_not_learnt() -> None:
    """What has come so far scores as a whole interval would, and leaves no trace."""
    detector = Burst(timedelta(minutes=1))
    told(detector, SOME)
    before = detector.state()
    finding = detector.so_far((41.0,))

    assert finding.reasons == ("41 errors in 60 s, usually at most 3",)
    assert detector.state() == before
    assert detector.observe(START + timedelta(days=1), (41.0,)) == finding


@given(few=st.integers(0, 100), more=st.integers(0, 100), exposure=st.floats(0.1, 1_000))
def test_more_errors_are_never_likelier(few: int, more: int, exposure: float) -> None:
    """The chance of at least so many falls with how many, and is one for none."""
    rate = Rate(prior=0.5)
    for count in SOME[:50]:
        rate.learn(count)

    assert rate.chance(0, exposure) == 1
    assert rate.chance(few, exposure) >= rate.chance(few + more, exposure) >= 0


def test_the_rate_is_that_of_what_came() -> None:
    """Of a steady Poisson, the chance of a count is the Poisson tail within a tenth or so."""
    rate = Rate(prior=0.5)
    for count in poisson(3.0, 2_000, seed=5):
        rate.learn(count)

    assert rate.chance(1) == pytest.approx(1 - 0.0498, abs=0.02)
    assert rate.chance(6) == pytest.approx(0.0839, abs=0.03)


def test_a_negative_count_is_no_count() -> None:
    """It scores nothing and is not learnt, like a missing one."""
    detector = Burst()
    told(detector, SOME)
    before = detector.state()

    assert detector.observe(START + timedelta(days=1), (-5.0,)).score == 0
    assert detector.state() == before


def test_a_row_of_three_is_refused() -> None:
    """A third value would have no meaning."""
    with pytest.raises(ValueError, match="expected the errors, or the errors and the tries, got 3 values"):
        Burst().observe(START, (1.0, 2.0, 3.0))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(VALUES, VALUES), max_size=30), more=st.lists(st.tuples(VALUES, VALUES), max_size=10))
def test_any_errors_and_tries_are_scored_alike_before_and_after_it_is_restored(rows, more) -> None:
    """Whatever is missing, huge or no number."""
    first = Burst()
    for row in rows:
        first.observe(START, row)
    second = Burst.restored(json.loads(json.dumps(first.state())))
    findings = [first.observe(START, row) for row in more]

    assert [second.observe(START, row) for row in more] == findings
    assert all(0 <= finding.score <= 1 for finding in findings)
