"""Whether this process lives and could do its work, and what it has done."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from api.deps import Caller, KeyedRoute, Services, guarded
from domain.base import Value
from domain.errors import UnavailableError
from services.health import Readiness

router = APIRouter(tags=["operations"], route_class=KeyedRoute)


class Alive(Value):
    status: str = "ok"


class PartReady(Value):
    name: str
    ok: bool


class Ready(Value):
    """Which parts answer; why one does not is for those with a token, at `/health`."""

    ready: bool
    parts: tuple[PartReady, ...]


@router.get("/healthz")
async def healthz() -> Alive:
    """This process answers."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready}})
async def readyz(response: Response, services: Services) -> Ready:
    """Database, engine and policy answer too."""
    found = await services.health.readiness()
    response.status_code = 200 if found.ready else 503
    return Ready(ready=found.ready, parts=tuple(PartReady(name=part.name, ok=part.ok) for part in found.parts))


@router.get("/health", **guarded("operation.read", UnavailableError))
async def health(response: Response, caller: Caller, services: Services) -> Readiness:
    found = await services.health.readiness()
    response.status_code = 200 if found.ready else 503
    return found


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """What Prometheus scrapes."""
    registry: CollectorRegistry = request.app.state.registry
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
