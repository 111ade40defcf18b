"""What is thought of the incidents of one connector, put together from incidents, hypotheses and plans."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import ARRAY, Interval, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.anomaly import ALERT
from domain.base import ConnectorId, IncidentId
from domain.opinion import Opinion

RECENT = timedelta(days=7)
# The one moment is asked for once, so that the index by the end is of use, and no other incident is looked at.
_OF_CONNECTOR = text("""
with recent as materialized (
  select each.org_id, each.id, each.service, each.title, each.status, each.severity from incidents each
  where (each.ended_at is null or each.ended_at > (select suture.now()) - :recent)
    and (cast(:after as uuid) is null or each.id < :after)
), its as (
  select each.id from recent each where each.id = any(:known)
  union
  select each.id from recent each join anomalies one on one.org_id = each.org_id and one.incident_id = each.id
  where one.detector = :detector and starts_with(one.subject, :prefix)
  order by id desc limit :most
)
select i.id, i.service, i.title, i.status, i.severity, a.subject, h.statement, h.confidence, p.summary, p.risk_score
from its join recent i on i.id = its.id
cross join lateral (
  select string_agg(distinct substr(one.subject, length(:prefix) + 1), ', ') as subject
  from anomalies one where one.org_id = i.org_id and one.incident_id = i.id
    and one.detector = :detector and starts_with(one.subject, :prefix)
) a
left join lateral (
  select statement, confidence from hypotheses one where one.org_id = i.org_id and one.incident_id = i.id and one.rank = 1
  order by one.created_at desc, one.id desc limit 1
) h on true
left join lateral (
  select summary, risk_score from fix_plans one where one.org_id = i.org_id and one.incident_id = i.id
  order by one.created_at desc, one.id desc limit 1
) p on true
order by i.id desc
""").bindparams(bindparam("known", type_=ARRAY(Uuid)), bindparam("after", type_=Uuid), bindparam("recent", type_=Interval))


async def of_connector(
    session: AsyncSession, connector: ConnectorId, *, known: Collection[IncidentId], after: IncidentId | None, limit: int
) -> list[Opinion]:
    """Of the incidents that its alerts belong to, and those `known`, which are open or ended within `RECENT`; newest first.

    A known one whose alert belongs to another incident by now has no subject.
    """
    given = {"known": list(known), "after": after, "recent": RECENT, "most": limit}
    found = await session.execute(_OF_CONNECTOR, given | {"detector": ALERT, "prefix": f"{connector}/"})
    return [
        Opinion(
            incident=IncidentId.of(row.id),
            subject=row.subject,
            service=row.service,
            title=row.title,
            status=row.status,
            severity=row.severity,
            cause=row.statement,
            confidence=row.confidence,
            plan=row.summary,
            risk=row.risk_score,
        )
        for row in found
    ]
