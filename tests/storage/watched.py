"""One service of a test's own org: what it sends, and its monitor."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.refs import MonitorRef
from domain.signal import Signal, SignalKind
from services.guard import Guard
from services.incidents import Incidents
from services.intake import Intake
from services.ledger import Ledger
from services.monitors import Monitors
from storage import anomalies, incidents
from storage.engine import Database, now
from tests.database import Shift, Tenant

MINUTE = timedelta(minutes=1)
USUAL = [10.0, 10.4, 9.7, 10.1, 9.9, 10.3, 9.8, 10.2] * 8


@dataclass
class Service:
    """One service of a test's own org, whose metric this sends and whose monitor this moves."""

    database: Database
    tenant: Tenant
    intake: Intake
    monitors: Monitors
    ref: MonitorRef
    shift: Shift

    async def send(self, values: Sequence[float], *, ago: timedelta = timedelta(0), key: str = "latency") -> None:
        """Values a minute apart, the last one now, or so long `ago`."""
        async with self.database.transaction(self.tenant.org) as session:
            at = await now(session) - ago - len(values) * MINUTE
        await self.intake.ingest(self.tenant.admin, self.signals(values, after=at, key=key))

    def signals(self, values: Sequence[float], *, after: datetime, key: str = "latency") -> list[Signal]:
        return [
            Signal(
                source="test",
                kind=SignalKind.METRIC,
                key=key,
                value=value,
                ts=after + number * MINUTE,
                environment=self.ref.environment,
                service=self.ref.service,
            )
            for number, value in enumerate(values, start=1)
        ]

    async def say(self, *texts: str, severity: str = "info") -> None:
        """Log lines, and a look at them."""
        async with self.database.transaction(self.tenant.org) as session:
            at = await now(session)
        said = [
            Signal(
                source="test",
                kind=SignalKind.LOG,
                text=each,
                severity=severity,
                ts=at,
                environment=self.ref.environment,
                service=self.ref.service,
            )
            for each in texts
        ]
        await self.intake.ingest(self.tenant.admin, said)
        await self.monitors.look(self.ref)

    async def tell(self, *values: float) -> None:
        """Each value by itself, a minute after the one before, and a look at each."""
        for value in values:
            await self.shift(self.tenant.org, MINUTE)
            await self.send([value])
            await self.monitors.look(self.ref)

    async def known(self):
        async with self.database.transaction(self.tenant.org) as session:
            return await anomalies.page(session, self.ref, limit=100)

    async def incidents(self):
        async with self.database.transaction(self.tenant.org) as session:
            return await incidents.page(session, status=None, service=self.ref.service, after=None, limit=100)

    async def rows(self, statement, **values):
        async with self.database.transaction(self.tenant.org) as session:
            return [tuple(row) for row in await session.execute(statement, values)]


def monitors_of(database: Database, ledger: Ledger) -> Monitors:
    return Monitors(database, ledger, Incidents(database, ledger, Guard(region="local")))
