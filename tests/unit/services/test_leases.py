"""Whether a worker still holds its attempt is told at once, whatever becomes of the renewals."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.errors import LeaseLostError, UnavailableError
from services.leases import kept

LEASE = timedelta(seconds=0.6)


async def _hangs() -> None:
    await asyncio.Event().wait()


async def _is_away() -> None:
    raise UnavailableError("the database is not available")


async def _is_refused() -> None:
    raise LeaseLostError("somebody else has it")


async def _lost_within(held: Callable[[], bool], limit: timedelta) -> float:
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(limit.total_seconds()):
        while held():
            await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time() - began


async def test_a_lease_that_is_renewed_is_held():
    """For several leases, with a few renewals in each."""
    renewals: list[None] = []

    async def renew() -> None:
        renewals.append(None)

    async with kept(renew, length=LEASE) as held:
        for _ in range(10):
            await asyncio.sleep(LEASE.total_seconds() / 4)
            assert held()
    assert 5 <= len(renewals) <= 8


@pytest.mark.parametrize("renew", [_hangs, _is_away])
async def test_a_lease_that_cannot_be_renewed_is_lost_after_its_length(renew):
    """Not before, and nobody waits for a renewal that hangs."""
    async with kept(renew, length=LEASE) as held:
        assert await _lost_within(held, 2 * LEASE) == pytest.approx(LEASE.total_seconds(), abs=0.1)


async def test_a_lease_that_somebody_else_has_is_lost_at_once():
    """With the first renewal that is refused, and for good."""
    async with kept(_is_refused, length=LEASE) as held:
        assert await _lost_within(held, LEASE) < LEASE.total_seconds() / 2


async def test_a_lease_outlives_a_short_absence_of_the_database():
    """One renewal fails and the next, which comes sooner, does not."""
    answers = [_is_away]

    async def renew() -> None:
        if answers:
            await answers.pop()()

    async with kept(renew, length=LEASE) as held:
        await asyncio.sleep(2 * LEASE.total_seconds())
        assert held()
