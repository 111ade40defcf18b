"""Decision records: what models, policies and the planner decided, on what inputs, and why."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query
from pydantic import JsonValue

from api.deps import Caller, KeyedRoute, Page, Paging, PagingOf, Services, Shown, guarded
from domain.base import DecisionId, Digest, ExecutionId, IncidentId, Instant, PlanId, PrincipalId
from domain.decision import DecisionType
from domain.errors import NotFoundError

router = APIRouter(prefix="/decisions", tags=["decisions"], route_class=KeyedRoute)


class DecisionOut(Shown):
    names: ClassVar[Mapping[str, str]] = {
        "incident_id": "incident",
        "execution_id": "execution",
        "plan_id": "plan",
        "decision_type": "type",
        "model_version": "model",
        "explanation_json": "details",
        "reviewer_id": "reviewer",
    }
    id: DecisionId
    incident_id: IncidentId | None
    execution_id: ExecutionId | None
    plan_id: PlanId | None
    decision_type: DecisionType
    model_version: str
    inputs_hash: Digest
    confidence: float | None
    threshold: float | None
    decision: str
    reason_codes: tuple[str, ...]
    explanation: str
    explanation_json: dict[str, JsonValue]
    reviewer_id: PrincipalId | None
    trace_id: str | None
    created_at: Instant


@router.get("", **guarded("decision.read"))
async def find(
    caller: Caller, services: Services, paging: PagingOf, incident_id: Annotated[IncidentId | None, Query()] = None
) -> Page[DecisionOut]:
    return await decisions_page(caller, services, paging, incident_id)


@router.get("/{decision_id}", **guarded("decision.read", NotFoundError))
async def get(decision_id: DecisionId, caller: Caller, services: Services) -> DecisionOut:
    return DecisionOut.of(await services.decisions.get(caller.org, decision_id))


async def decisions_page(caller: Caller, services: Services, paging: Paging, incident: IncidentId | None) -> Page[DecisionOut]:
    """The newest first; the cursor names time and id, since records of one instant have no other order."""
    place = paging.position()
    before = (datetime.fromisoformat(place[0]), DecisionId.of(place[1])) if place else None
    found = await services.decisions.page(caller.org, incident=incident, before=before, limit=paging.ask)
    return paging.page([DecisionOut.of(each) for each in found], lambda each: (each.created_at.isoformat(), each.id.shown))
