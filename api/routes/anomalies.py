"""What was seen of services: anomalies in every mode, and what their log lines say."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue

from api.deps import Caller, Page, PagingOf, Services, Short, Shown, StrictRoute, guarded
from domain.anomaly import AnomalyStatus
from domain.base import AnomalyId, IncidentId, Instant
from domain.detecting import DetectorMode
from domain.watch import TemplateGroup

router = APIRouter(prefix="/anomalies", tags=["monitoring"], route_class=StrictRoute)
templates = APIRouter(prefix="/log-templates", tags=["monitoring"], route_class=StrictRoute)

Named = Annotated[Short, Query(min_length=1)]
Most = Annotated[int, Query(ge=1, le=200, description="how many groups are shown")]


class State(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class AnomalyOut(Shown):
    """One thing about a service that was unlike its usual self; in the mode `shadow` it has opened nothing."""

    id: AnomalyId
    environment: str
    service: str
    detector: str
    subject: str
    status: AnomalyStatus
    mode: DetectorMode
    score: float
    reasons: tuple[str, ...]
    evidence: dict[str, JsonValue]
    flaps: int = Field(description="how often it came back soon after it was over")
    began_at: Instant
    last_odd_at: Instant
    seen_at: Instant
    ended_at: Instant | None
    incident_id: IncidentId | None


class LogTemplateOut(Shown):
    """What lines say once their variable parts are taken out; the exemplar is one of them as it was stored, redacted."""

    number: int = Field(description="its name in its service")
    template: str
    count: int
    first_seen_at: Instant
    last_seen_at: Instant
    rate: float = Field(description="lines a second, from the first to the last")
    novelty: float = Field(description="from 1 for what was not to be expected to 0 for what is always said")
    exemplar: str


@router.get("", **guarded("anomaly.read"))
async def find(
    caller: Caller,
    services: Services,
    paging: PagingOf,
    service: Short | None = None,
    environment: Short | None = None,
    detector: Short | None = None,
    state: State | None = None,
) -> Page[AnomalyOut]:
    """The newest first."""
    found = await services.seeing.anomalies(
        caller,
        service=service,
        environment=environment,
        detector=detector,
        is_open=None if state is None else state is State.OPEN,
        after=paging.after(AnomalyId),
        limit=paging.ask,
    )
    return paging.page([AnomalyOut.of(each) for each in found], lambda each: (each.id.shown,))


@templates.get("", **guarded("anomaly.read"))
async def log_templates(
    caller: Caller, services: Services, paging: PagingOf, service: Named, environment: Named
) -> Page[LogTemplateOut]:
    """What the lines of one service say, the newest first."""
    place = paging.position()
    found = await services.seeing.log_templates(
        caller, service=service, environment=environment, after=int(place[0]) if place else None, limit=paging.ask
    )
    return paging.page([LogTemplateOut.of(each) for each in found], lambda each: (str(each.number),))


@templates.get("/variants", **guarded("anomaly.read"))
async def variants(
    caller: Caller, services: Services, service: Named, environment: Named, limit: Most = 50
) -> Page[TemplateGroup]:
    """Templates that say nearly the same in other words as one, the most frequent first; of the 2,000 most frequent ones."""
    found = await services.seeing.template_groups(caller, service=service, environment=environment, limit=limit)
    return Page[TemplateGroup](items=tuple(found))
