"""A service is watched for as long as it is heard of, and what stays odd about it is an incident."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.incident import Status
from domain.refs import MonitorRef
from domain.signal import Signal, SignalKind
from tests.database import Tenant
from tests.engine import World, until

USUAL = [10.0, 10.4, 9.7, 10.1, 9.9, 10.3, 9.8, 10.2] * 8


@dataclass
class Watched:
    """A service of the test's own org."""

    world: World
    tenant: Tenant
    ref: MonitorRef

    async def send(self, values: Sequence[float]) -> None:
        """Values a second apart, the last one now."""
        first = datetime.now(UTC) - timedelta(seconds=len(values))
        sent = [
            Signal(
                source="test",
                kind=SignalKind.METRIC,
                key="latency",
                value=value,
                ts=first + timedelta(seconds=number),
                environment=self.ref.environment,
                service=self.ref.service,
            )
            for number, value in enumerate(values, start=1)
        ]
        await self.world.services.intake.ingest(self.tenant.admin, sent)

    async def incidents(self):
        return await self.world.services.incidents.page(
            self.tenant.admin, status=None, service=self.ref.service, after=None, limit=10
        )

    async def status(self) -> WorkflowExecutionStatus | None:
        """The monitor's in the engine; None while there is none."""
        try:
            return (await self.world.client.get_workflow_handle(self.ref.workflow_id).describe()).status
        except RPCError:
            return None

    async def is_watched(self) -> bool:
        return await self.status() is WorkflowExecutionStatus.RUNNING

    async def waits(self) -> bool:
        """Whether it sleeps, and would be woken."""
        async with self.world.database.transaction(self.tenant.org) as session:
            is_awake = await session.scalar(text("select is_awake from monitors"))
        return is_awake is False and await self.is_watched()

    async def missing(self) -> list[str]:
        """What was found not to have come."""
        found = await self.world.services.seeing.anomalies(
            self.tenant.admin, service=None, environment=None, detector="freshness", is_open=True, after=None, limit=10
        )
        return [each.subject for each in found]

    async def is_left_alone(self) -> bool:
        return await self.status() is WorkflowExecutionStatus.COMPLETED


@pytest.fixture
def watched(world, tenant):
    return Watched(world, tenant, MonitorRef(org=tenant.org, environment="prod", service="checkout"))


async def test_what_stays_odd_is_an_incident_that_a_person_sees(watched):
    """From the metric to the incident, and through its story to the end that needs a person."""
    await watched.send(USUAL)

    async def is_opened() -> bool:
        await watched.send([90.0])
        return bool(await watched.incidents())

    await until(is_opened, why="an incident is opened")

    async def is_told() -> bool:
        return (await watched.incidents())[0].status is Status.NEEDS_HUMAN

    await until(is_told, why="the story is told")
    await until(watched.is_left_alone, why="nothing is sent any more")
    [incident] = await watched.incidents()
    assert incident.title.startswith("checkout: latency: 90")


async def test_a_silent_service_is_not_watched_until_it_speaks_again(watched):
    """Its monitor ends, and the next signal begins it anew."""
    await watched.send([1.0])
    await until(watched.is_left_alone, why="the silent service is left alone")
    await watched.send([1.0])
    await until(watched.is_watched, why="it is watched again")


async def test_what_does_not_come_is_waited_for(watched):
    """A service that spoke every minute and falls silent: its monitor sleeps, looks when it is due, and then is done."""
    for _ in range(6):
        await watched.world.shift(watched.tenant.org, timedelta(minutes=1))
        await watched.send([10.0])
    await until(watched.waits, why="the monitor sleeps until the next value is due")
    before = await watched.missing()
    handle = watched.world.client.get_workflow_handle(watched.ref.workflow_id)
    await watched.world.advance(watched.tenant.org, timedelta(minutes=5), handle)

    async def is_missed() -> bool:
        return await watched.missing() == ["latency"]

    await until(is_missed, why="what was due is missed")
    await until(watched.is_left_alone, why="nothing more is waited for")
    assert before == []
    assert await watched.incidents() == []
