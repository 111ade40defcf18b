"""What a series keeps within, and what lies beyond it."""

import random

from hypothesis import given
from hypothesis import strategies as st

from models.detectors.band import Band

NUMBERS = st.lists(st.floats(-100, 100), min_size=8, max_size=60)


def known(numbers: list[float], *, least: float = 0.01) -> Band:
    band = Band(50)
    for number in numbers:
        band.add(number, least=least)
    return band


@given(numbers=NUMBERS, one=st.floats(-1_000, 1_000), other=st.floats(-1_000, 1_000))
def test_further_away_is_more_margins(numbers: list[float], one: float, other: float) -> None:
    """The larger of two numbers lies the higher, and the middle lies at none."""
    band = known(numbers)

    assert band.margins(min(one, other), least=0.5) <= band.margins(max(one, other), least=0.5)
    assert abs(band.margins(one, least=0.5)) >= abs(band.margins(one, least=2.0))


def test_a_margin_is_five_deviations_of_normal_numbers() -> None:
    """A little more while only fifty are known; and with one side wider, that side's margin is."""
    dice = random.Random(1)
    even = known([dice.gauss(0, 1) for _ in range(50)])
    skewed = known([abs(dice.gauss(0, 1)) for _ in range(50)])

    assert 4 <= 1 / even.margins(1.0, least=0.1) <= 7
    assert skewed.margins(skewed.usual()[0] - 1, least=0.01) < -1.5 * skewed.margins(skewed.usual()[1] + 1, least=0.01)


def test_nothing_is_said_of_few() -> None:
    """Seven numbers are no band, eight are."""
    assert known([1.0] * 7).margins(50.0, least=1.0) == 0
    assert known([1.0] * 8).margins(50.0, least=1.0) == 49


def test_freaks_do_not_hide_the_next() -> None:
    """After two freaks in thirty numbers a third still lies far out, and so it does after ten."""
    dice = random.Random(2)
    calm = [dice.gauss(0, 1) for _ in range(28)]

    assert known([*calm[:20], 100.0, *calm[20:], 100.0]).margins(100.0, least=0.1) > 3
    assert known([*calm[:10], 100.0]).margins(100.0, least=0.1) > 3


@given(numbers=NUMBERS)
def test_the_usual_range_leaves_out_the_extremes(numbers: list[float]) -> None:
    """It lies within what was seen, and one number at least lies at or outside of each end."""
    low, high = known(numbers).usual()

    assert min(numbers) <= low <= high <= max(numbers)
