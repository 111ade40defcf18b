"""Windows and their largest are those of a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from models.detectors.recent import Peak, Recent
from models.detectors.scores import shown

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60)


@given(numbers=NUMBERS, size=st.integers(min_value=1, max_value=20), share=st.floats(min_value=0, max_value=1))
def test_a_quantile_is_that_of_the_last_numbers(numbers: list[float], size: int, share: float) -> None:
    """The quantile is the number at that place among the sorted last ones."""
    recent = Recent(size)
    for number in numbers:
        recent.add(number)
    last = sorted(numbers[-size:])

    assert recent.quantile(share) == last[min(len(last) - 1, int(share * len(last)))]
    assert recent.numbers() == tuple(numbers[-size:])


@given(numbers=NUMBERS, rows=st.integers(min_value=1, max_value=20))
def test_a_peak_is_the_largest_of_the_last_rows(numbers: list[float], rows: int) -> None:
    """The peak of the last rows is their largest, before and after it is restored."""
    peak = Peak(20)
    for number in numbers:
        peak.add(number)
    again = Peak.restored(20, peak.candidates())

    assert peak.largest_of(rows) == again.largest_of(rows) == max(numbers[-rows:])


def test_numbers_are_shown_as_people_read_them() -> None:
    """Three digits that tell, thousands parted, nothing after the point that is zero."""
    assert [shown(each) for each in (0, 412, 1234567.8, 0.04567, 5.0, -2.349, 3e15)] == [
        "0", "412", "1,234,568", "0.0457", "5", "-2.35", "3e+15",
    ]  # fmt: skip
