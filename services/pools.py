"""Pools of workers as the work sees them that waits for one: say that nobody comes."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM
from domain.base import IncidentId
from domain.execution import Unserved
from services.ledger import Ledger
from storage import executions, plans
from storage.engine import Database, repeatable


class Pools:
    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    @repeatable
    async def note_unserved(self, work: Unserved) -> None:
        """Write down that nobody serves the environment: in the audit log, and so in the incident's stream."""
        async with self._database.transaction(work.org) as session:
            resource = ("execution", work.execution) if work.execution else ("plan", work.plan)
            await self._ledger.append(
                session,
                work.org,
                "execution.unserved",
                actor=SYSTEM,
                resource_type=resource[0],
                resource_id=resource[1].shown if resource[1] else work.stage,
                after={"environment": work.environment, "stage": work.stage, "since": work.since.isoformat()},
                incident=await _incident(session, work),
            )


async def _incident(session: AsyncSession, work: Unserved) -> IncidentId | None:
    if work.execution is not None:
        return (await executions.get(session, work.execution)).incident
    return (await plans.get(session, work.plan)).plan.incident if work.plan else None
