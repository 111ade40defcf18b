"""The doors for senders that speak a protocol of their own: known by a connector's secret, answered as they like it."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from api.deps import Services, refusals
from domain.errors import (
    ForbiddenError,
    NotFoundError,
    QuotaExceededError,
    StoppedError,
    UnauthenticatedError,
    UnavailableError,
)
from domain.inbound import Inbound, Reply

router = APIRouter(prefix="/ingest", tags=["ingest"])
_REFUSALS = refusals(UnauthenticatedError, ForbiddenError, NotFoundError, StoppedError, QuotaExceededError, UnavailableError)
_DOOR: dict[str, Any] = {"responses": _REFUSALS, "status_code": 202, "response_class": Response}


@router.post("/otlp/{endpoint}/v1/{signal}", **_DOOR)
async def otlp(signal: str, endpoint: str, request: Request, services: Services) -> Response:
    """OpenTelemetry over HTTP, protobuf or JSON: an exporter is given the address up to the endpoint."""
    return await _take(f"otlp_{signal}", endpoint, request, services)


@router.post("/alertmanager/{endpoint}/api/v2/alerts", **_DOOR)
async def alerts(endpoint: str, request: Request, services: Services) -> Response:
    """As Alertmanager itself: a Prometheus is given the address up to the endpoint."""
    return await _take("alertmanager_api", endpoint, request, services)


@router.post("/pagerduty/v2/enqueue", **_DOOR)
@router.post("/pagerduty/v2/change/enqueue", **_DOOR)
async def enqueue(request: Request, services: Services) -> Response:
    """As PagerDuty's Events API: the routing key is the endpoint, `_` and the secret."""
    return _answer(await services.receiving.take_named("pagerduty_events", await _inbound(request)))


@router.post("/{source}/{endpoint}", **_DOOR)
async def receive(source: str, endpoint: str, request: Request, services: Services) -> Response:
    """Whatever this kind of source posts. Durable when answered; the answer is the one that its protocol expects."""
    return await _take(source, endpoint, request, services)


async def _take(kind: str, endpoint: str, request: Request, services: Services) -> Response:
    return _answer(await services.receiving.take(kind, endpoint, await _inbound(request)))


async def _inbound(request: Request) -> Inbound:
    return Inbound(
        arrived=datetime.now(UTC),
        headers={name.lower(): value for name, value in request.headers.items()},
        query=dict(request.query_params),
        tail=request.url.path,
        body=await request.body(),
    )


def _answer(reply: Reply) -> Response:
    return Response(reply.body, status_code=reply.status, media_type=reply.media)
