"""The moves that an incident's story has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ConflictError
from domain.incident import ENDED, RESTING, WORKING, Status, check_move

STATUSES = st.sampled_from(Status)


def test_every_status_is_of_one_kind():
    """It works, it rests until a person looks, or it has ended."""
    assert sorted([*ENDED, *RESTING, *WORKING]) == sorted(Status)


@given(st.sampled_from(sorted(ENDED)), STATUSES)
def test_what_has_ended_stays_ended(end: Status, after: Status):
    """Only the end itself may be written again: whoever repeats a call learns nothing new."""
    if after is end:
        check_move(end, after)
    else:
        with pytest.raises(ConflictError, match=f"{end} and cannot become {after}"):
            check_move(end, after)


@given(st.lists(STATUSES, max_size=20))
def test_no_row_of_moves_leaves_an_end(wanted: list[Status]):
    """Refused moves change nothing, so the first end is the last status."""
    status = Status.OPEN
    for after in wanted:
        try:
            check_move(status, after)
        except ConflictError:
            continue
        status = after
    ends = [each for each in wanted if each in ENDED]
    assert status == (ends[0] if ends else (wanted or [Status.OPEN])[-1])
