"""The generalised ESD test, and what it says of the latest value."""

import random
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detectors.esd import Esd, critical_values
from tests.unit.models.detectors.series import START, observed

ODD = 0.5
ROSNER = [
    -0.25, 0.68, 0.94, 1.15, 1.20, 1.26, 1.26, 1.34, 1.38, 1.43, 1.49, 1.49, 1.55, 1.56, 1.58, 1.65, 1.69, 1.70, 1.76, 1.77,
    1.81, 1.91, 1.94, 1.96, 1.99, 2.06, 2.09, 2.10, 2.14, 2.15, 2.23, 2.24, 2.26, 2.35, 2.37, 2.40, 2.47, 2.54, 2.62, 2.64,
    2.90, 2.92, 2.92, 2.93, 3.21, 3.26, 3.30, 3.59, 3.68, 4.30, 4.64, 5.34, 5.42, 6.01,
]  # fmt: skip
"""The example of the paper: at 5 % three outliers, of which the first two are not beyond their own critical values."""


def score(values: list[float]) -> float:
    return observed(Esd(), [(START + timedelta(minutes=number), value) for number, value in enumerate(values)])[-1].score


def calm(rows: int = 150) -> list[float]:
    dice = random.Random(1)
    return [50 + dice.gauss(0, 1) for _ in range(rows)]


def test_the_example_of_the_paper_has_its_three_outliers() -> None:
    """The third is beyond its critical value by 3.179 to 3.144, and takes the two before it along."""
    assert [value for value in ROSNER if critical_values(value, ROSNER, level=0.05) > 1] == [5.34, 5.42, 6.01]
    assert critical_values(6.01, ROSNER, level=0.05) == pytest.approx(3.179 / 3.144, abs=1e-3)


def test_several_outliers_do_not_hide_each_other() -> None:
    """The thirteenth in a window is still one, where it is less than four standard deviations of them all away."""
    values = [*calm(), *[90.0] * 12, 91.0]

    assert score(values) > ODD
    assert (91 - np.mean(values)) / np.std(values) < 4


def test_a_window_half_full_of_another_level_has_no_outliers() -> None:
    """A tenth may be outliers; more are another level."""
    assert score([*calm(100), *[90.0] * 60]) < ODD


@pytest.mark.parametrize("value", [62.0, 38.0])
def test_both_sides_count(value: float) -> None:
    """Far above and far below are outliers alike, and a value in the middle is none."""
    assert score([*calm(), value]) > ODD > score([*calm(), 50.5])


def test_a_reason_says_among_which_values() -> None:
    """How many there are, and where most of them lie."""
    rows = [(START + timedelta(minutes=number), value) for number, value in enumerate([*[50.0, 51.0] * 50, 90.0])]

    assert observed(Esd(), rows)[-1].reasons == ("90 among 101 values of mostly 50 to 51",)


def test_a_steady_series_does_not_cry_over_a_hair() -> None:
    """A twentieth above a level that never moved is none, a fifth is."""
    assert score([*[100.0] * 100, 105.0]) < ODD < score([*[100.0] * 100, 120.0])


def test_normal_values_have_hardly_an_outlier() -> None:
    """Of 5,000 at most one."""
    rows = [(START + timedelta(minutes=number), value) for number, value in enumerate(calm(5_000))]

    assert sum(finding.score >= ODD for finding in observed(Esd(), rows)) <= 1


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=20, max_size=60), factor=st.sampled_from([0.5, 4.0, -2.0]))
def test_units_do_not_matter(values: list[float], factor: float) -> None:
    """Not even which way is up."""
    one, other = (critical_values(each[-1], sorted(each)) for each in (values, [value * factor for value in values]))

    assert one == pytest.approx(other, rel=1e-6, abs=1e-9)


def test_huge_outliers_leave_the_small_ones_to_be_seen() -> None:
    """Sums that held a googol are not used once it is out."""
    assert score([*calm(), 1e100, 1e50, 70.0]) > ODD
