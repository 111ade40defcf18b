"""Runs are judged beside the event loop, and never so many that all of them become slow."""

import asyncio

from domain.errors import UnavailableError
from models.features import Features
from services.detecting import AT_ONCE, WAITING, Anomaly, Detecting, Question

ASKED = Question(
    execution_time_s=930, cpu_percent=97.5, history=tuple(Features(execution_time_s=100 + each % 7) for each in range(60))
)


async def test_too_many_at_once_are_told_to_come_again() -> None:
    """As many as there is room for are judged, the others are refused at once; afterwards there is room again."""
    detecting = Detecting()
    asked = [detecting.detect(ASKED) for _ in range(AT_ONCE + WAITING + 20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(each) for each in answers] == [Anomaly] * (AT_ONCE + WAITING) + [UnavailableError] * 20
    assert (await detecting.detect(ASKED)).is_anomaly


async def test_the_loop_goes_on_while_a_run_is_judged() -> None:
    """Others are served meanwhile."""
    judging = asyncio.create_task(Detecting().detect(ASKED))
    turns = 0
    while not judging.done():
        turns += 1
        await asyncio.sleep(0.001)

    assert turns > 2
