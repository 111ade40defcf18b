"""Decision records: written with what they decided, read by everybody, changed by nobody."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import DecisionId, IncidentId, Instant, OrgId, Value
from domain.canonical import digest
from domain.decision import DecisionRecord, DecisionType
from domain.plan import FixPlan
from domain.policy import Refusal
from domain.trace import current_trace
from storage import decisions as store
from storage.engine import Database


def policy_record(plan: FixPlan, told: Sequence[Value], revision: str, decision: str, reasons: Refusal = ()) -> DecisionRecord:
    """What policy of `revision` said about a plan when it was told these facts."""
    return DecisionRecord(
        incident=plan.incident,
        plan=plan.id,
        type=DecisionType.POLICY,
        model=f"opa/{revision}",
        inputs_hash=digest([each.model_dump(mode="json") for each in told]),
        confidence=plan.confidence,
        decision=decision,
        reason_codes=tuple(each.code for each in reasons),
        explanation="; ".join(each.msg for each in reasons) or decision,
    )


class Decisions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, session: AsyncSession, org: OrgId, record: DecisionRecord) -> DecisionId:
        """In the caller's transaction; without a trace of its own it belongs to the request's."""
        trace = current_trace.get()
        if record.trace_id is None and trace is not None:
            record = record.model_copy(update={"trace_id": trace.trace_id})
        return await store.add(session, org, record)

    async def get(self, org: OrgId, decision: DecisionId) -> DecisionRecord:
        """Raises NotFoundError: no such decision in the org."""
        async with self._database.transaction(org) as session:
            return await store.get(session, decision)

    async def page(
        self,
        org: OrgId,
        *,
        incident: IncidentId | None = None,
        before: tuple[Instant, DecisionId] | None = None,
        limit: int = 50,
    ) -> list[DecisionRecord]:
        """The newest first, older than `before`."""
        async with self._database.transaction(org) as session:
            return await store.find(session, incident=incident, before=before, limit=limit)
