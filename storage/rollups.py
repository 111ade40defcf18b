"""The added-up minutes of a service, read for people."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import Instant
from domain.refs import MonitorRef
from domain.watch import Sum

MOST = 50_000
_READ = """select kind, subject, at, count, total, lowest, highest from {table}
where environment = :environment and service = :service and at >= :since and at <= :until order by at limit :most"""
_READ_BY = {minutes: text(_READ.replace("{table}", f"signal_rollups_{minutes}m")) for minutes in (1, 5)}


async def of_service(session: AsyncSession, ref: MonitorRef, minutes: int, *, since: Instant, until: Instant) -> list[Sum]:
    """Its sums of one or five minutes that begin within that time, the oldest first."""
    named = {"environment": ref.environment, "service": ref.service, "since": since, "until": until, "most": MOST}
    return [Sum.model_validate(dict(row)) for row in (await session.execute(_READ_BY[minutes], named)).mappings()]
