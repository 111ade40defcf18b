"""Decision records as rows; nobody changes one."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, Text, func, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import DecisionId, IncidentId, Instant, OrgId, PlanId
from domain.decision import DecisionRecord, DecisionType
from domain.errors import NotFoundError
from domain.policy import Tier
from storage.engine import document, moment

_NAMES = {
    "incident": "incident_id",
    "execution": "execution_id",
    "plan": "plan_id",
    "type": "decision_type",
    "model": "ai_model",
    "confidence": "confidence_score",
    "explanation": "reasoning",
    "details": "explanation_json",
    "reviewer": "reviewer_id",
}


class DecisionRow(SQLModel, table=True):
    __tablename__ = "decisions"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True, sa_column_kwargs={"server_default": func.uuidv7()})
    incident_id: UUID | None = None
    execution_id: UUID | None = None
    plan_id: UUID | None = None
    decision_type: str
    ai_model: str
    inputs_hash: str
    confidence_score: Decimal | None = None
    threshold: Decimal | None = None
    decision: str
    reason_codes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    reasoning: str
    explanation_json: dict[str, Any] = Field(sa_column=document())
    reviewer_id: UUID | None = None
    trace_id: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=moment())


async def add(session: AsyncSession, org: OrgId, record: DecisionRecord) -> DecisionId:
    """Without an id the database makes one; the time is always the database's."""
    fields = record.model_dump(exclude={"id", "created_at"}) | {"reason_codes": list(record.reason_codes)}
    values = {_NAMES.get(name, name): _number(value) for name, value in fields.items()} | {"org_id": org}
    values |= {} if record.id is None else {"id": record.id}
    statement = insert(DecisionRow).values(values).returning(col(DecisionRow.id))
    return DecisionId.of((await session.scalars(statement)).one())


async def get(session: AsyncSession, decision: DecisionId) -> DecisionRecord:
    """Raises NotFoundError: no such decision in the caller's org."""
    row = await session.scalar(select(DecisionRow).where(DecisionRow.id == decision))
    if row is None:
        raise NotFoundError(f"no decision {decision.shown}")
    return _to_record(row)


async def find(
    session: AsyncSession, *, incident: IncidentId | None, before: tuple[Instant, DecisionId] | None, limit: int
) -> list[DecisionRecord]:
    """The newest first, older than `before`."""
    place = tuple_(col(DecisionRow.created_at), col(DecisionRow.id))
    statement = select(DecisionRow).order_by(col(DecisionRow.created_at).desc(), col(DecisionRow.id).desc()).limit(limit)
    if incident is not None:
        statement = statement.where(DecisionRow.incident_id == incident)
    if before is not None:
        statement = statement.where(place < before)
    return [_to_record(row) for row in await session.scalars(statement)]


def _number(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value


def _to_record(row: DecisionRow) -> DecisionRecord:
    columns = row.model_dump(exclude={"org_id"})
    shown = {column: name for name, column in _NAMES.items()}
    return DecisionRecord.model_validate({shown.get(column, column): value for column, value in columns.items()})


async def latest_auto(session: AsyncSession, plan: PlanId) -> DecisionId:
    """The latest policy decision that lets `plan` run alone.

    Raises:
        NotFoundError: policy has not been asked about it.
    """
    statement = (
        select(DecisionRow.id)
        .where(
            DecisionRow.plan_id == plan,
            DecisionRow.decision_type == DecisionType.POLICY,
            DecisionRow.decision == str(Tier.AUTO),
        )
        .order_by(col(DecisionRow.id).desc())
        .limit(1)
    )
    if (found := await session.scalar(statement)) is None:
        raise NotFoundError(f"no policy decision about plan {plan.shown}")
    return DecisionId.of(found)
