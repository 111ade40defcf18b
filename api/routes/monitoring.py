"""Monitoring: what a pipeline's surroundings report of it, and how it does of late."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.deps import BatchOut, BatchRoute, Caller, Items, Services, Short, batch_of, guarded
from api.routes.signals import SignalIn, ingest
from domain.base import PipelineId
from domain.errors import NotFoundError, StoppedError, UnavailableError
from domain.monitoring import Snapshot
from domain.service_view import ServiceView
from domain.service_view import Window as Last

router = APIRouter(prefix="/monitoring", tags=["monitoring"], route_class=BatchRoute)

Window = Annotated[timedelta, Query(ge=timedelta(minutes=1), le=timedelta(days=90))]


@router.post(
    "/ingest",
    **batch_of(
        SignalIn, guarded("event.write", NotFoundError, StoppedError, UnavailableError, answers={207: "some items are refused"})
    ),
)
async def report(items: Items, response: Response, caller: Caller, services: Services) -> BatchOut:
    """As `POST /signals/ingest`: execution rows, logs and metrics."""
    return await ingest(items, response, caller, services)


@router.get("/services/{service}", **guarded("event.read", NotFoundError))
async def service(
    service: Annotated[Short, Path()],
    environment: Annotated[Short, Query(min_length=1)],
    caller: Caller,
    services: Services,
    window: Last = Last.SHORT,
) -> ServiceView:
    """Rate, errors and duration of what a service does; utilisation, saturation and errors of what it uses.

    What did not come is missing, and never a zero.
    """
    return await services.seeing.service(caller, service=service, environment=environment, window=window)


@router.get("/{pipeline_id}/snapshot", **guarded("pipeline.read", NotFoundError))
async def snapshot(
    pipeline_id: PipelineId, caller: Caller, services: Services, window: Window = timedelta(hours=6)
) -> Snapshot:
    """Over the last `window`, an ISO 8601 duration or seconds."""
    return await services.monitoring.snapshot(caller, pipeline_id, window=window)
