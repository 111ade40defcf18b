"""When what should have come is late."""

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from models.detectors.contract import Finding
from models.detectors.freshness import Freshness
from tests.unit.models.detectors.series import START

ODD = 0.5


class Feed:
    """A detector, and the time of what came last."""

    def __init__(self) -> None:
        self.detector = Freshness()
        self.at: datetime = START
        self.detector.observe(self.at, (1.0,))

    def comes(self, gaps: Iterable[float]) -> list[Finding]:
        """Something comes after each gap of so many seconds."""
        return [self._came(seconds) for seconds in gaps]

    def asked(self, seconds: float) -> Finding:
        return self.detector.observe(self.at + timedelta(seconds=seconds), (None,))

    def _came(self, seconds: float) -> Finding:
        self.at += timedelta(seconds=seconds)
        return self.detector.observe(self.at, (1.0,))


def beats(times: int, *, every: float = 10, jitter: float = 0.2) -> list[float]:
    dice = random.Random(1)
    return [every + dice.uniform(-jitter, jitter) for _ in range(times)]


def test_a_heartbeat_that_stays_away_is_late() -> None:
    """After eleven seconds of ten it is not, after a minute it is, and the longer the more."""
    feed = Feed()
    findings = feed.comes(beats(100))
    soon, late, later = feed.asked(11), feed.asked(60), feed.asked(600)

    assert max(finding.score for finding in findings) < ODD
    assert soon.score < ODD < late.score < later.score
    assert late.reasons == ("nothing for 60 s, usually after at most 10.2 s",)


def test_what_comes_late_is_scored_as_it_comes() -> None:
    """Also when nobody asked meanwhile; the next one in time is not odd."""
    feed = Feed()
    feed.comes(beats(100))
    late, next_one = feed.comes([90, 10])

    assert late.score > ODD
    assert late.reasons[0].startswith("came after 90 s, usually ")
    assert next_one.score < ODD


def test_asking_teaches_nothing() -> None:
    """The state is the same however often one asks."""
    feed = Feed()
    feed.comes(beats(20))
    before = feed.detector.state()
    for seconds in range(200):
        feed.asked(seconds)

    assert feed.detector.state() == before


def test_nothing_is_late_before_four_gaps_are_known() -> None:
    """A feed that came three times may take its time."""
    feed = Feed()
    feed.comes([10, 10, 10])

    assert feed.asked(1e6).score == 0


def test_what_never_came_is_not_late() -> None:
    """There is nothing to measure from."""
    assert Freshness().observe(START, (None,)).score == 0


def test_arrivals_at_random_are_seldom_late() -> None:
    """Of 5,000 gaps that are exponential at most five are late; ten times the usual longest is."""
    dice = random.Random(2)
    feed = Feed()
    findings = feed.comes(dice.expovariate(1 / 60) for _ in range(5_000))

    assert sum(finding.score >= ODD for finding in findings) <= 5
    assert feed.asked(60 * 46).score > ODD


def test_after_a_friday_it_may_take_until_monday() -> None:
    """Files of weekdays at six: on a Sunday nothing is missing, on a Tuesday night Monday's is."""
    dice = random.Random(3)
    feed = Feed()
    day = 86_400
    feed.comes((3 * day if feed.at.weekday() == 4 else day) + dice.uniform(-600, 600) for _ in range(60))
    feed.comes((day,) * ((4 - feed.at.weekday()) % 7))

    assert feed.at.weekday() == 4
    assert feed.asked(2 * day).score < ODD
    assert feed.asked(4.5 * day).score > ODD


def test_on_a_weekday_it_may_not() -> None:
    """The same feed is late on a Wednesday after a day and a half."""
    feed = Feed()
    day = 86_400
    feed.comes(3 * day if feed.at.weekday() == 4 else day for _ in range(61))

    assert feed.at.weekday() == 1
    assert feed.asked(1.5 * day).score > ODD


def test_an_arrival_in_pieces_is_one() -> None:
    """Ten files at once every hour are due every hour."""
    feed = Feed()
    feed.comes([*[0.5] * 9, 3_600] * 40)

    assert feed.asked(3_700).score < ODD
    assert feed.asked(2 * 3_600).score > ODD


def test_an_outage_does_not_hide_the_next() -> None:
    """After one of an hour the next is as late, or nearly."""
    feed = Feed()
    feed.comes(beats(200))
    first = feed.asked(3_600)
    feed.comes([3_600, *beats(20)])

    assert feed.asked(3_600).score == pytest.approx(first.score, abs=0.01)
