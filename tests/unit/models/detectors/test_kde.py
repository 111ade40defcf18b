"""Values where hardly any other lies."""

import random
from datetime import timedelta

import pytest

from models.detectors.contract import Finding
from models.detectors.esd import Esd
from models.detectors.kde import Kde
from tests.unit.models.detectors.series import START, observed

ODD = 0.5


def told(values: list[float]) -> list[Finding]:
    return observed(Kde(), [(START + timedelta(minutes=number), value) for number, value in enumerate(values)])


def normal(rows: int) -> list[float]:
    dice = random.Random(1)
    return [50 + dice.gauss(0, 1) for _ in range(rows)]


def two_levels(rows: int) -> list[float]:
    dice = random.Random(2)
    return [dice.choice((0.0, 100.0)) + dice.gauss(0, 2) for _ in range(rows)]


def test_a_value_outside_is_odd() -> None:
    """The farther the more."""
    near, far, farther = (told([*normal(300), value])[-1].score for value in (51.0, 62.0, 620.0))

    assert near < ODD < far < farther


def test_a_value_between_two_levels_is_odd() -> None:
    """Though it lies in the very middle of all values, where a test for outliers sees none."""
    values = [*two_levels(400), 50.0]
    rows = [(START + timedelta(minutes=number), value) for number, value in enumerate(values)]

    assert told(values)[-1].score > ODD
    assert observed(Esd(), rows)[-1].score < ODD
    assert max(finding.score for finding in told(values)[200:-1]) < ODD


def test_a_reason_says_how_many_lie_near() -> None:
    """And how many usually do."""
    reason = told([*two_levels(400), 50.0])[-1].reasons[0]

    assert reason.startswith("50 has ")
    assert " of 200 values near it, usually at least " in reason


def test_normal_values_are_hardly_ever_odd() -> None:
    """Of 5,000 at most three."""
    assert sum(finding.score >= ODD for finding in told(normal(5_000))) <= 3


def test_a_steady_series_does_not_cry_over_a_hair() -> None:
    """A twentieth above a level that never moved is not odd, a half is."""
    hair, half = (told([*[100.0] * 100, value])[-1].score for value in (105.0, 150.0))

    assert hair < ODD < half


def test_the_density_is_that_of_the_kernel() -> None:
    """A value one width away counts a half, one three widths away a tenth."""
    detector = Kde()
    for value in [0.0] * 20 + [10.0] * 10 + [30.0] * 10:
        detector._values.add(value)

    assert detector._width(0.0) == 1.5
    assert detector._near(11.5) == pytest.approx(20 / (1 + (11.5 / 1.5) ** 2) + 10 / 2 + 10 / (1 + (18.5 / 1.5) ** 2))
    assert detector._near(25.5) == pytest.approx(20 / (1 + 17**2) + 10 / (1 + (15.5 / 1.5) ** 2) + 10 / 10)


def test_the_smallest_and_the_largest_numbers_are_scored() -> None:
    """A googol among what is hardly above zero is odd, and nothing overflows."""
    assert told([*[1e-60 * (1 + number % 7) for number in range(100)], 1e100])[-1].score > ODD
