"""The HTTP application: its routers under every prefix, its edge, and the process that serves it."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.responses import Response

import bootstrap
import settings
from api.browser import origin_of
from api.callers import AllServices, identify
from api.context import TraceContext
from api.cursors import Cursors
from api.idempotency import Idempotency
from api.limits import MIB, Bounded, Limits
from api.metrics import Measured, RequestMetrics
from api.problems import LastResort, answer, describe, install
from api.rates import Rated
from api.routes import ROUTERS
from api.routes.health import router as health
from api.spans import Spanned
from api.streams import Streams
from api.wire import LARGEST_HEAD, GuardedProtocol
from domain.errors import NotFoundError
from settings import Settings

CANONICAL = "/api/v1"
ALIASES = ("/v1", "/api")
PREFIXES = (CANONICAL, *ALIASES)
BATCHES = tuple(f"{prefix}/{name}" for prefix in PREFIXES for name in ("signals/ingest", "monitoring/ingest", "ingest/"))
PAGERS = tuple((f"{prefix}/ingest/pagerduty/", MIB // 2) for prefix in PREFIXES)
"""An event of PagerDuty's is no larger; it is parsed to learn whom it is for, before anybody has proved anything."""
UPLOADS = (*PAGERS, *((path, 16 * MIB) for path in (*(f"{prefix}/pipelines" for prefix in PREFIXES), *BATCHES)))
ALWAYS = frozenset(f"{prefix}/{name}" for prefix in ("", *PREFIXES) for name in ("healthz", "readyz"))
LIMITS = Limits(larger=UPLOADS, packed=BATCHES, always=ALWAYS)
_UNUSED = frozenset({"HTTPValidationError", "ValidationError"})

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create(
    services: AllServices,
    chosen: Settings,
    *,
    registry: CollectorRegistry = REGISTRY,
    limits: Limits = LIMITS,
    streams: Streams | None = None,
) -> FastAPI:
    """The application on built services; it starts and stops nothing."""
    made = routed()
    dress(made, chosen, registry=registry, limits=limits, streams=streams or Streams())
    give(made, services)
    return made


def app() -> FastAPI:
    """The application for a server that makes its own processes: services open and close with its lifespan."""
    chosen = settings.load()
    bootstrap.configure_logs(chosen)

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[None]:
        async with bootstrap.api_services(chosen) as services:
            give(running, services)
            yield

    made = routed(lifespan)
    dress(made, chosen, registry=REGISTRY, limits=LIMITS, streams=Streams())
    return made


async def serve(chosen: Settings) -> None:
    """Serve until a signal; services open before the first request and close after the last."""
    async with bootstrap.api_services(chosen) as services:
        config = uvicorn.Config(
            create(services, chosen),
            host=chosen.api_host,
            port=chosen.api_port,
            http=GuardedProtocol,
            h11_max_incomplete_event_size=LARGEST_HEAD,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=10,
        )
        bootstrap.settled()
        await uvicorn.Server(config).serve()


def routed(lifespan: Lifespan | None = None) -> FastAPI:
    """The routes and their document, without anything that could answer."""
    made = FastAPI(title="suture", version="1", redirect_slashes=False, lifespan=lifespan)
    for router in ROUTERS:
        made.include_router(router, prefix=CANONICAL)
        for alias in ALIASES:
            made.include_router(router, prefix=alias, include_in_schema=False)
    made.include_router(health, include_in_schema=False)
    made.openapi = lambda: document(made)  # type: ignore[method-assign]
    return made


def dress(made: FastAPI, chosen: Settings, *, registry: CollectorRegistry, limits: Limits, streams: Streams) -> None:
    """Put the edge around the routes; what is added last sees a request first."""
    made.state.registry = registry
    made.state.streams = streams
    made.state.api_url = chosen.api_url.rstrip("/")
    made.state.ui_origin = origin_of(chosen.temporal_ui_url)
    install(made)
    made.add_exception_handler(405, _no_such_method)
    made.add_middleware(Rated)
    made.add_middleware(Bounded, limits=limits)
    made.add_middleware(LastResort)
    made.add_middleware(Measured, metrics=RequestMetrics(registry))
    made.add_middleware(Spanned)
    made.add_middleware(TraceContext)


def give(made: FastAPI, services: AllServices) -> None:
    """Let the routes use `services`."""
    made.state.services = services
    made.state.cursors = Cursors(services.identity.derived_key("cursors"))
    made.state.idempotency = Idempotency(services.idempotency, identify)


def document(made: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the canonical routes, with Problems for every refusal."""
    if made.openapi_schema is None:
        found = describe(get_openapi(title=made.title, version=made.version, routes=made.routes))
        schemas = found["components"]["schemas"]
        found["components"]["schemas"] = {name: schemas[name] for name in sorted(schemas) if name not in _UNUSED}
        made.openapi_schema = found
    return made.openapi_schema


async def _no_such_method(request: Request, error: Exception) -> Response:
    """A method that a path does not have is nothing there: nobody learns by it which paths exist."""
    return answer(NotFoundError("no such method"))


if __name__ == "__main__":
    sys.exit(bootstrap.run_process(serve))
