"""How often a monitor looks: ever less often at what is quiet, and soon again where a verdict is near."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities import monitoring
from domain.base import OrgId
from domain.refs import MonitorRef
from domain.watch import Look, Watched

REF = MonitorRef(org=OrgId(int=1), environment="prod", service="shop")


class Monitors:
    """Finds these, one look after the other."""

    def __init__(self, *looks: Look) -> None:
        self._looks: Iterator[Look] = iter(looks)

    async def look(self, _: MonitorRef) -> Look:
        return next(self._looks)

    async def keep(self, _: MonitorRef) -> None: ...


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


async def watched(*looks: Look) -> Watched:
    activity = monitoring.Monitoring(Monitors(*looks), quiet=timedelta(minutes=1))  # type: ignore[arg-type]
    return await asyncio.create_task(ActivityEnvironment().run(activity.watch, REF))


async def test_what_is_quiet_is_looked_at_ever_less_often(pauses: list[float]) -> None:
    """And as often as at first once something has come; what lies behind is read without a pause."""
    quiet, news, behind = Look(), Look(signals=1), Look(signals=1, is_behind=True)

    assert (await watched(*[quiet] * 20, news, behind, Look(is_ripe=True))).is_ripe
    assert pauses[:3] == [0.25 * 1.5, 0.25 * 1.5**2, 0.25 * 1.5**3]
    assert pauses[19:] == [2.0, 0.25]


async def test_where_a_verdict_is_near_the_next_look_is_soon(pauses: list[float]) -> None:
    """However quiet it is by then."""
    await watched(*[Look()] * 20, Look(is_ripening=True), Look(is_ripe=True))

    assert pauses[-2:] == [2.0, 0.25]
