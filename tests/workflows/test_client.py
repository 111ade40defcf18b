"""The door into the engine, as whoever calls through it sees it."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.base import RequestId
from domain.refs import RequestRef
from workflows.client import TemporalEngine


async def test_a_cancelled_decision_stays_cancelled(scene):
    """Whoever stops waiting for an answer is stopped, although the SDK calls that a timeout."""
    await scene.break_and_run()
    approval = await scene.approval()
    carrier = (await scene.services.planning.view(scene.author, approval.plan)).state.carrier
    request = RequestRef(org=scene.tenant.org, id=RequestId(int=uuid4().int))
    asking = asyncio.create_task(TemporalEngine(scene.world.client).decide(carrier, request, within=timedelta(seconds=30)))
    for _ in range(5):  # until the call is under way
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
