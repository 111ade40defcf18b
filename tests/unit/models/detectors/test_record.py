"""The record is the geometric mean of the two largest distances within reach."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detectors.record import BOUNDLESS, Record


@given(distances=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 7.0]), min_size=3, max_size=60))
def test_a_ratio_is_the_distance_in_records(distances: list[float]) -> None:
    """The last distance is divided by the mean of the two largest before it; any distance is boundless against nothing."""
    record = Record(2)
    ratio = [record.ratio(each) for each in distances][-1]
    second, first = sorted(distances[:-1])[-2:]
    expected = distances[-1] / math.sqrt(first * second) if first * second > 0 else BOUNDLESS * (distances[-1] > 0)

    assert ratio == pytest.approx(expected)


def test_what_is_out_of_reach_is_forgotten() -> None:
    """Two large distances do not count after 1,500 small ones."""
    record = Record(2)
    for distance in (100.0, 100.0, *([1.0] * 1_500)):
        record.ratio(distance)

    assert record.ratio(2.0) == 2


def test_a_longer_past_reaches_further_back() -> None:
    """After 8,000 distances those of the last 4,000 count."""
    record = Record(2)
    for number in range(8_000):
        record.ratio(100.0 if number in (4_500, 4_501) else 1.0)

    assert record.ratio(200.0) == pytest.approx(2)


def test_a_short_past_has_no_record() -> None:
    """Before the least number of distances is known nothing is a record."""
    record = Record(5)

    assert [record.ratio(each) for each in (1.0, 2.0, 4.0, 8.0, 16.0)] == [0, 0, 0, 0, 0]
