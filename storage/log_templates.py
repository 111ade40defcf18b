"""What the lines of a service say once their variable parts are taken out: a row for each template."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, ColumnElement, delete, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.refs import MonitorRef
from domain.watch import LogTemplate, SeenTemplate
from storage.engine import moment

_FIND = text(
    """
with all_of_it as (
  select sum(count) as lines, count(*) filter (where count = 1) as once from log_templates
  where environment = :environment and service = :service
)
select number, template, count, first_seen_at, last_seen_at, exemplar, placed, absorbed,
  coalesce((count - 1) / nullif(extract(epoch from last_seen_at - first_seen_at)::float8, 0), 0) as rate,
  case when lines > 1 then (1 - once / lines)::float8 / count else 0 end as novelty
from log_templates, all_of_it
where environment = :environment and service = :service and number < coalesce(cast(:after as bigint), number + 1)
order by number desc limit :limit"""
)
_KEY = ("org_id", "environment", "service", "number")


class LogTemplateRow(SQLModel, table=True):
    __tablename__ = "log_templates"
    org_id: UUID = Field(primary_key=True)
    environment: str = Field(primary_key=True)
    service: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    template: str
    count: int
    first_seen_at: datetime = Field(sa_column=moment())
    last_seen_at: datetime = Field(sa_column=moment())
    exemplar: str
    placed: int
    absorbed: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))


async def of_service(session: AsyncSession, ref: MonitorRef) -> list[LogTemplate]:
    """Every template of the service, by its number."""
    rows = await session.scalars(select(LogTemplateRow).where(*_of(ref)).order_by(col(LogTemplateRow.number)))
    return [LogTemplate.model_validate(row.model_dump(include=set(LogTemplate.model_fields))) for row in rows]


async def most_frequent(session: AsyncSession, ref: MonitorRef, *, limit: int) -> list[LogTemplate]:
    """The service's templates that were seen most often."""
    wanted = select(LogTemplateRow).where(*_of(ref)).order_by(col(LogTemplateRow.count).desc(), col(LogTemplateRow.number))
    rows = await session.scalars(wanted.limit(limit))
    return [LogTemplate.model_validate(row.model_dump(include=set(LogTemplate.model_fields))) for row in rows]


async def find(session: AsyncSession, *, service: str, environment: str, after: int | None, limit: int) -> list[SeenTemplate]:
    """The service's templates, the newest first. A novelty is that of a line more: Good and Turing's share of what is
    expected to be new is taken off, and each sighting makes it less."""
    wanted = {"service": service, "environment": environment, "after": after, "limit": limit}
    return [SeenTemplate.model_validate(dict(row)) for row in (await session.execute(_FIND, wanted)).mappings()]


async def put(session: AsyncSession, ref: MonitorRef, changed: Sequence[LogTemplate]) -> None:
    """Store each as it is now."""
    if not changed:
        return
    place = {"org_id": ref.org, "environment": ref.environment, "service": ref.service}
    statement = insert(LogTemplateRow)
    news = {name: statement.excluded[name] for name in LogTemplate.model_fields if name != "number"}
    rows = [each.model_dump() | {"absorbed": list(each.absorbed)} | place for each in changed]
    await session.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=news), rows)


async def remove(session: AsyncSession, ref: MonitorRef, numbers: Collection[int]) -> None:
    """Forget those that have become part of another, or had to make room."""
    if numbers:
        await session.execute(delete(LogTemplateRow).where(*_of(ref), col(LogTemplateRow.number).in_(numbers)))


def _of(ref: MonitorRef) -> tuple[ColumnElement[bool], ...]:
    return col(LogTemplateRow.environment) == ref.environment, col(LogTemplateRow.service) == ref.service
