"""Evidence and the hypotheses that cite it, appended and never changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import EvidenceId, HypothesisId, IncidentId, OrgId
from domain.evidence import Cause, Diagnosis, Evidence, EvidenceKind, Hypothesis
from storage.engine import document, moment


class EvidenceRow(SQLModel, table=True):
    __tablename__ = "evidence"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    incident_id: UUID
    kind: str
    ref: dict[str, Any] = Field(sa_column=document())
    excerpt: str
    score: float
    created_at: datetime | None = Field(default=None, sa_column=moment())


class HypothesisRow(SQLModel, table=True):
    __tablename__ = "hypotheses"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    incident_id: UUID
    diagnosis_id: UUID
    rank: int
    cause: str
    statement: str
    confidence: float
    support: list[str] = Field(sa_column=document())
    counter: list[str] = Field(sa_column=document())
    why_not: str | None = None
    facts: dict[str, Any] = Field(sa_column=document())
    created_at: datetime | None = Field(default=None, sa_column=moment())


class CitationRow(SQLModel, table=True):
    __tablename__ = "hypothesis_evidence"
    org_id: UUID = Field(primary_key=True)
    hypothesis_id: UUID = Field(primary_key=True)
    evidence_id: UUID = Field(primary_key=True)
    stance: str


async def add(session: AsyncSession, org: OrgId, incident: IncidentId, diagnosis_id: UUID, diagnosis: Diagnosis) -> None:
    ranked = enumerate(diagnosis.hypotheses, start=1)
    session.add_all(_evidence_row(org, incident, piece) for piece in diagnosis.evidence)
    session.add_all(_hypothesis_row(org, incident, diagnosis_id, rank, hypothesis) for rank, hypothesis in ranked)
    await session.flush()
    session.add_all(citation for hypothesis in diagnosis.hypotheses for citation in _citations(org, hypothesis))
    await session.flush()


async def evidence(session: AsyncSession, incident: IncidentId, *, limit: int) -> list[Evidence]:
    statement = select(EvidenceRow).where(EvidenceRow.incident_id == incident).order_by(col(EvidenceRow.id)).limit(limit)
    return [_to_evidence(row) for row in await session.scalars(statement)]


async def hypotheses(session: AsyncSession, incident: IncidentId) -> list[Hypothesis]:
    """Those of the latest diagnosis, the likeliest first."""
    latest = (
        select(HypothesisRow.diagnosis_id)
        .where(HypothesisRow.incident_id == incident)
        .order_by(col(HypothesisRow.created_at).desc(), col(HypothesisRow.id).desc())
        .limit(1)
    )
    statement = (
        select(HypothesisRow).where(HypothesisRow.diagnosis_id == latest.scalar_subquery()).order_by(col(HypothesisRow.rank))
    )
    return [_to_hypothesis(row) for row in await session.scalars(statement)]


def _evidence_row(org: OrgId, incident: IncidentId, piece: Evidence) -> EvidenceRow:
    return EvidenceRow(
        org_id=org, id=piece.id, incident_id=incident, kind=piece.kind, ref=piece.ref, excerpt=piece.excerpt, score=piece.score
    )


def _hypothesis_row(org: OrgId, incident: IncidentId, diagnosis: UUID, rank: int, hypothesis: Hypothesis) -> HypothesisRow:
    return HypothesisRow(
        org_id=org,
        id=hypothesis.id,
        incident_id=incident,
        diagnosis_id=diagnosis,
        rank=rank,
        cause=hypothesis.cause,
        statement=hypothesis.statement,
        confidence=hypothesis.confidence,
        support=[each.shown for each in hypothesis.support],
        counter=[each.shown for each in hypothesis.counter],
        why_not=hypothesis.why_not,
        facts=hypothesis.facts,
    )


def _citations(org: OrgId, hypothesis: Hypothesis) -> list[CitationRow]:
    stances = [(each, "support") for each in hypothesis.support] + [(each, "counter") for each in hypothesis.counter]
    return [CitationRow(org_id=org, hypothesis_id=hypothesis.id, evidence_id=each, stance=stance) for each, stance in stances]


def _to_evidence(row: EvidenceRow) -> Evidence:
    return Evidence(
        id=EvidenceId.of(row.id), kind=EvidenceKind(row.kind), ref=row.ref, excerpt=row.excerpt, score=float(row.score)
    )


def _to_hypothesis(row: HypothesisRow) -> Hypothesis:
    return Hypothesis(
        id=HypothesisId.of(row.id),
        cause=Cause(row.cause),
        statement=row.statement,
        confidence=float(row.confidence),
        support=tuple(EvidenceId.of(each) for each in row.support),
        counter=tuple(EvidenceId.of(each) for each in row.counter),
        why_not=row.why_not,
        facts=row.facts,
    )
