"""Events: what was observed, stored before it is answered, never changed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query, Response
from pydantic import Field, JsonValue

from api.deps import Caller, KeyedRoute, Moment, Page, PagingOf, Services, Short, Shown, guarded
from domain.base import IncidentId, Instant, SignalId, Value, WorkflowId
from domain.errors import NotFoundError, StoppedError, UnavailableError
from domain.signal import Signal, SignalKind, Text, Timing
from services.intake import Received

router = APIRouter(prefix="/events", tags=["events"], route_class=KeyedRoute)


class EventIn(Value):
    event_type: Short
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    workflow_id: WorkflowId | None = None
    occurred_at: Moment | None = None
    correlation_id: Short | None = None
    idempotency_key: Short | None = None
    source: Short = "api"
    service: Short | None = None
    environment: Short | None = None
    severity: Short | None = None
    text: Text | None = None
    labels: dict[Short, Short] = Field(default_factory=dict, max_length=64)

    def signal(self, *, now: datetime) -> Signal:
        """What is stored; an event that does not say when it happened happened now."""
        said = self.model_dump(exclude={"occurred_at"})
        return Signal(kind=SignalKind.EVENT, ts=self.occurred_at or now, **said)


class EventOut(Shown):
    names: ClassVar[Mapping[str, str]] = {"event_id": "id", "occurred_at": "ts"}
    event_id: SignalId
    event_type: str | None
    kind: SignalKind
    source: str
    payload: dict[str, JsonValue]
    workflow_id: WorkflowId | None
    incident_id: IncidentId | None
    idempotency_key: str | None
    correlation_id: str | None
    trace_id: str | None
    service: str | None
    environment: str | None
    severity: str | None
    text: str | None
    labels: dict[str, str]
    occurred_at: Instant
    received_at: Instant | None
    count: int
    timing: Timing = Field(description="what is late or early opens nothing, and is not counted as of now")


@router.post("", status_code=201, **guarded("event.write", NotFoundError, StoppedError, UnavailableError))
async def receive(body: EventIn, response: Response, caller: Caller, services: Services) -> Received:
    """Durable when answered; a repeated `idempotency_key` answers with the first event."""
    (received,) = await services.intake.receive(caller, [body.signal(now=datetime.now(UTC))])
    response.headers["Location"] = f"/api/v1/events/{received.event_id.shown}"
    return received


@router.get("", **guarded("event.read"))
async def find(
    caller: Caller,
    services: Services,
    paging: PagingOf,
    workflow_id: Annotated[WorkflowId | None, Query()] = None,
    incident_id: Annotated[IncidentId | None, Query()] = None,
) -> Page[EventOut]:
    after = paging.after(SignalId)
    found = await services.intake.page(caller, workflow=workflow_id, incident=incident_id, after=after, limit=paging.ask)
    return paging.page([EventOut.of(each) for each in found], lambda each: (each.event_id.shown,))


@router.get("/{event_id}", **guarded("event.read", NotFoundError))
async def get(event_id: SignalId, caller: Caller, services: Services) -> EventOut:
    return EventOut.of(await services.intake.get(caller, event_id))
