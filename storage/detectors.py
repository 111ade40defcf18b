"""The modes of an org's detectors, and what became of their latest alarms."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import OrgId
from domain.detecting import Chosen, DetectorMode, Tally
from domain.incident import CALM, FALSE_ALARM
from storage.engine import moment

LATEST = 200
_TALLY = text(
    """
with alarms as (
  select id, environment, service, status, began_at, coalesce(ended_at, suture.now()) as ended_at
  from anomalies where detector = :detector and status in ('confirmed', 'over') order by id desc limit :latest
), heard as (
  select a.status,
    bool_or(i.ended_at is not null and not i.meta ?| cast(:nothing as text[])) as was_right,
    bool_or(i.id is not null and i.ended_at is null) as is_open
  from alarms a left join incidents i on i.environment = a.environment and i.service = a.service
    and i.started_at <= a.ended_at and coalesce(i.ended_at, 'infinity') >= a.began_at
  group by a.id, a.status
)
select count(*) filter (where was_right) as right,
  count(*) filter (where not was_right and not is_open and status = 'over') as false,
  count(*) filter (where not was_right and (is_open or status <> 'over')) as undecided
from (select status, coalesce(was_right, false) as was_right, coalesce(is_open, false) as is_open from heard) as known"""
)


class DetectorRow(SQLModel, table=True):
    __tablename__ = "detectors"
    org_id: UUID = Field(primary_key=True)
    detector: str = Field(primary_key=True)
    mode: str
    by_person: bool
    changed_at: datetime | None = Field(default=None, sa_column=moment())


async def chosen(session: AsyncSession) -> dict[str, Chosen]:
    """Every mode that is not the first one any more, by its detector."""
    found = await session.scalars(select(DetectorRow), execution_options={"populate_existing": True})
    return {row.detector: Chosen.model_validate(row.model_dump(exclude={"org_id"})) for row in found}


async def choose(session: AsyncSession, org: OrgId, detector: str, mode: DetectorMode, *, by_person: bool) -> bool:
    """Whether it counts now: a record changes nothing that a person has chosen, not even at the same moment."""
    values = {"mode": str(mode), "by_person": by_person, "changed_at": func.suture.now()}
    statement = insert(DetectorRow).values(org_id=org, detector=detector, **values)
    kept = None if by_person else col(DetectorRow.by_person).is_(False)
    key = [col(DetectorRow.org_id), col(DetectorRow.detector)]
    changed = statement.on_conflict_do_update(index_elements=key, set_=values, where=kept).returning(col(DetectorRow.detector))
    return await session.scalar(changed) is not None


async def tally(session: AsyncSession, detector: str) -> Tally:
    """What became of its latest `LATEST` alarms, whether they opened something or stayed in the shadow.

    One was right when an incident of its service at that time ended otherwise than by calm or as a false alarm, whoever
    opened it. It was false when there was none such and it is over. While an incident is open nobody knows.
    """
    wanted = {"detector": detector, "latest": LATEST, "nothing": [CALM, FALSE_ALARM]}
    return Tally.model_validate(dict((await session.execute(_TALLY, wanted)).mappings().one()))
