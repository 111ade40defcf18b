"""Incidents: open one by hand, read its story, end it, follow it live."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse
from pydantic import Field, JsonValue, StringConstraints

from api.deps import Caller, Event, EventStreams, KeyedRoute, Page, PagingOf, Services, Short, Shown, guarded
from api.routes.audit_logs import AuditOut
from api.routes.decisions import DecisionOut, decisions_page
from api.routes.fix import PlanOut
from domain.base import ExecutionId, IncidentId, Instant, Name, OrgId, Value, WorkflowId
from domain.errors import ConflictError, NotFoundError, UnavailableError
from domain.evidence import Evidence, Hypothesis
from domain.incident import Severity, Status

router = APIRouter(prefix="/incidents", tags=["incidents"], route_class=KeyedRoute)

LastSeen = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, lt=2**53)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class IncidentIn(Value):
    """An environment that is not named is production."""

    title: Words
    service: Words
    environment: Name = "prod"
    severity: Severity = Severity.SEV3


class Ending(StrEnum):
    RESOLVED = "resolved"


class IncidentChange(Value):
    """A false alarm counts against the detectors that raised it."""

    status: Ending
    false_alarm: bool = False


class IncidentOut(Shown):
    names: ClassVar[Mapping[str, str]] = {"org_id": "org"}
    id: IncidentId
    org_id: OrgId
    signature: str
    title: str
    service: str
    environment: str
    status: Status
    severity: Severity
    confidence: float | None
    event_count: int
    first_seen_at: Instant
    last_seen_at: Instant
    started_at: Instant
    ended_at: Instant | None
    workflow_id: WorkflowId | None
    slo_impact: dict[str, JsonValue]
    meta: dict[str, JsonValue]
    waiting_runs: tuple[ExecutionId, ...] = Field(description="the runs that go on when it is healed")


@router.get("", **guarded("incident.read"))
async def find(
    caller: Caller, services: Services, paging: PagingOf, status: Status | None = None, service: Short | None = None
) -> Page[IncidentOut]:
    after = paging.after(IncidentId)
    found = await services.incidents.page(caller, status=status, service=service, after=after, limit=paging.ask)
    return paging.page([IncidentOut.of(each) for each in found], lambda each: (each.id.shown,))


@router.post("/open", status_code=201, **guarded("incident.write", NotFoundError))
async def open_incident(body: IncidentIn, response: Response, caller: Caller, services: Services) -> IncidentOut:
    """Open an incident, or join the open one of this title and service; a person ends it."""
    incident = await services.incidents.open(
        caller, title=body.title, service=body.service, environment=body.environment, severity=body.severity
    )
    response.headers["Location"] = f"/api/v1/incidents/{incident.id.shown}"
    return IncidentOut.of(incident)


@router.get("/{incident_id}", **guarded("incident.read", NotFoundError))
async def get(incident_id: IncidentId, caller: Caller, services: Services) -> IncidentOut:
    return IncidentOut.of(await services.incidents.get(caller, incident_id))


@router.patch("/{incident_id}", **guarded("incident.write", NotFoundError, ConflictError))
async def change(incident_id: IncidentId, body: IncidentChange, caller: Caller, services: Services) -> IncidentOut:
    """End it by hand: runs that wait for it fail."""
    return IncidentOut.of(await services.incidents.resolve(caller, incident_id, false_alarm=body.false_alarm))


@router.get("/{incident_id}/evidence", **guarded("incident.read", NotFoundError))
async def evidence(incident_id: IncidentId, caller: Caller, services: Services) -> Page[Evidence]:
    """The newest 200 pieces."""
    return Page[Evidence](items=tuple(await services.diagnostics.evidence(caller, incident_id, limit=200)))


@router.get("/{incident_id}/hypotheses", **guarded("incident.read", NotFoundError))
async def hypotheses(incident_id: IncidentId, caller: Caller, services: Services) -> Page[Hypothesis]:
    """The likeliest first, each with the evidence it cites."""
    return Page[Hypothesis](items=tuple(await services.diagnostics.hypotheses(caller, incident_id)))


@router.get("/{incident_id}/decisions", **guarded("decision.read", NotFoundError))
async def decisions(incident_id: IncidentId, caller: Caller, services: Services, paging: PagingOf) -> Page[DecisionOut]:
    await services.incidents.get(caller, incident_id)
    return await decisions_page(caller, services, paging, incident_id)


@router.get("/{incident_id}/plans", **guarded("plan.read", NotFoundError))
async def plans(incident_id: IncidentId, caller: Caller, services: Services) -> Page[PlanOut]:
    """The newest 50, the newest first."""
    found = await services.planning.of_incident(caller, incident_id)
    return Page[PlanOut](items=tuple(PlanOut.of_state(each) for each in found))


@router.get("/{incident_id}/timeline", **guarded("incident.read", NotFoundError))
async def timeline(incident_id: IncidentId, caller: Caller, services: Services, paging: PagingOf) -> Page[AuditOut]:
    """What happened, the oldest first."""
    after = paging.position()
    found = await services.incidents.timeline(caller, incident_id, after=int(after[0]) if after else 0, limit=paging.ask)
    return paging.page([AuditOut.of(each) for each in found], lambda each: (str(each.seq),))


@router.get(
    "/{incident_id}/stream",
    response_class=StreamingResponse,
    **guarded("incident.read", NotFoundError, UnavailableError, answers={200: "text/event-stream; `id:` is the audit seq"}),
)
async def stream(
    incident_id: IncidentId, caller: Caller, services: Services, streams: EventStreams, last_event_id: LastSeen = None
) -> StreamingResponse:
    """What happens, as it happens; come back with Last-Event-ID to go on."""

    async def follow(after: int) -> list[Event]:
        present = await services.identity.again(caller)
        found = await services.incidents.timeline(present, incident_id, after=after)
        return [Event(id=each.seq, kind=each.action, data=AuditOut.of(each).model_dump_json()) for each in found]

    after = last_event_id or 0
    return streams.serve(follow, await follow(after), after)
