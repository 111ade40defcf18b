"""How many batches are in work at once follows how long they take."""

from contextlib import ExitStack

import pytest

from domain.errors import ConflictError, OverloadedError, UnavailableError
from services.admission import CALM, SLOW, STORMY, Admission

MOST, LEAST = 64, 2


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(clock)


def one(admission: Admission, clock: Clock, took: float) -> None:
    with admission.place():
        clock.at += took


def room(admission: Admission) -> int:
    """How many are let in at once."""
    with ExitStack() as stack:
        for count in range(100):
            try:
                stack.enter_context(admission.place())
            except OverloadedError:
                return count
    raise AssertionError("there is no end")


def test_what_is_quick_is_no_storm(admission: Admission, clock: Clock) -> None:
    """Nothing is folded, and the limit stays where it is."""
    one(admission, clock, STORMY.total_seconds() / 2)

    assert not admission.is_stormy
    assert room(admission) == MOST


def test_a_storm_lasts_a_while_after_what_took_long(admission: Admission, clock: Clock) -> None:
    """So that folding, which makes batches quick, does not end it at once."""
    one(admission, clock, STORMY.total_seconds())
    during = admission.is_stormy
    clock.at += CALM.total_seconds()

    assert (during, admission.is_stormy) == (True, False)


def test_who_finds_no_place_is_refused_and_leaves_none(admission: Admission) -> None:
    """And there is room again once the others are done."""
    assert [room(admission), room(admission)] == [MOST, MOST]
    assert admission.is_stormy


def test_what_is_slow_lowers_the_limit_once_a_second_and_never_below_the_least(admission: Admission, clock: Clock) -> None:
    """Batches that ran together when the limit fell tell nothing new."""
    with ExitStack() as together:
        for _ in range(10):
            together.enter_context(admission.place())
        clock.at += SLOW.total_seconds()
    after_one = room(admission)
    for _ in range(20):
        one(admission, clock, SLOW.total_seconds())

    assert (after_one, room(admission)) == (int(MOST * 0.7), LEAST)


def test_what_is_quick_again_raises_it_one_by_one(admission: Admission, clock: Clock) -> None:
    """One for as many batches as are let in at once."""
    for _ in range(20):
        one(admission, clock, SLOW.total_seconds())
    for _ in range(6):
        one(admission, clock, 0.01)

    assert room(admission) == LEAST + 2


@pytest.mark.parametrize(("error", "is_stormy"), [(UnavailableError("gone"), False), (ConflictError("known"), True)])
def test_a_database_out_of_reach_says_nothing_of_how_much_there_is(
    admission: Admission, clock: Clock, error: Exception, is_stormy: bool
) -> None:
    """A refusal for what the batch itself is took as long as it took."""

    def fail() -> None:
        with admission.place():
            clock.at += SLOW.total_seconds()
            raise error

    with pytest.raises(type(error)):
        fail()

    assert admission.is_stormy is is_stormy


async def test_who_waits_too_long_for_a_turn_hears_whether_anything_moves(admission: Admission, clock: Clock) -> None:
    """Others that were stored meanwhile mean too much at once; none, that the database stands still."""
    turns = [admission.turn() for _ in range(4)]
    for each in turns:
        await each.__aenter__()
    with pytest.raises(UnavailableError):
        async with admission.turn():
            pass
    await turns.pop().__aexit__(None, None, None)
    async with admission.turn():
        with pytest.raises(OverloadedError):
            async with admission.turn():
                pass
    for each in turns:
        await each.__aexit__(None, None, None)
