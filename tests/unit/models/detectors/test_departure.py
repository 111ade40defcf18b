"""What counts as news, and what is the same news still."""

import random
from datetime import timedelta

import pytest

from models.detectors.departure import Departure
from tests.unit.models.detectors.series import START, Rows, after, daily, observed, steady

NEWS = 0.545
FIVE_MINUTES = timedelta(minutes=5)
CALM = steady(1_000, step=FIVE_MINUTES)


def news(rows: Rows, *, since: int) -> list[int]:
    """The rows from `since` on that are news."""
    return [number for number, finding in enumerate(observed(Departure(), rows)) if number >= since and finding.score >= NEWS]


@pytest.mark.parametrize("value", [80.0, 20.0])
def test_a_spike_is_news_in_both_directions(value: float) -> None:
    """A value far above or below all before it is news at once."""
    rows = CALM + after(CALM, value, 50.0, 50.0, step=FIVE_MINUTES)

    assert news(rows, since=1_000) == [1_000]


def test_a_new_level_is_news_once() -> None:
    """A jump to a level that stays is news when it happens and not as long as it lasts."""
    noise = random.Random(2)
    rows = CALM + after(CALM, *(90 + noise.gauss(0, 1) for _ in range(400)), step=FIVE_MINUTES)
    told = news(rows, since=1_000)

    assert told[0] == 1_000
    assert all(row <= 1_030 for row in told)


def test_a_day_without_its_rise_is_news() -> None:
    """A value that the series often holds is news at an hour that never held it."""
    rows = daily(10, step=FIVE_MINUTES)
    flat = [(at, 100.0 if number >= 9 * 288 else value) for number, (at, value) in enumerate(rows)]

    assert news(rows, since=6 * 288) == []
    assert news(flat, since=9 * 288)


def test_denser_bursts_are_news() -> None:
    """Bursts no higher than before are news when they come close together."""
    rare: Rows = [(START + FIVE_MINUTES * number, 10.0 if number % 50 < 2 else 0.0) for number in range(1_500)]
    dense = rare + after(rare, *(10.0 * (number % 2) for number in range(40)), step=FIVE_MINUTES)

    assert news(rare, since=750) == []
    assert news(dense, since=1_500)


def test_a_reason_says_what_was_seen_and_how_far_beyond_the_record() -> None:
    """The reason is one short sentence with the value and the ratio."""
    (finding,) = observed(Departure(), CALM + after(CALM, 80.0, step=FIVE_MINUTES))[-1:]

    assert finding.reasons[0].startswith("80 ")
    assert finding.reasons[0].endswith(" times the record distance")


def test_the_first_move_ever_is_the_first_of_its_kind() -> None:
    """A series that never moved and moves scores all but 1."""
    flat: Rows = [(START + FIVE_MINUTES * number, 45.0) for number in range(300)]
    (finding,) = observed(Departure(), flat + after(flat, 46.0, step=FIVE_MINUTES))[-1:]

    assert finding.score > 0.99
    assert finding.reasons[0].endswith("the first of its kind")
