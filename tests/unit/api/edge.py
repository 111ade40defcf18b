"""A small application made of the edge alone, and a server for it on a loopback port."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import StreamingResponse

from api.body import YAML, StrictRoute, yaml_text
from api.context import TraceContext
from api.cursors import DEFAULT_LIMIT, Limit
from api.idempotency import Idempotency, KeyedRoute
from api.limits import Bounded, Limits
from api.problems import LastResort, install, refusals
from api.wire import GuardedProtocol
from domain.base import OrgId, PlanId, PrincipalId, Value
from domain.errors import StalePlanError, UnauthenticatedError, UnavailableError
from tests.unit.api.fakes import FakeStore

ORG, OTHER_ORG = OrgId(int=1), OrgId(int=2)
QUICK = Limits(
    body_within=timedelta(seconds=0.6),
    body_idle=timedelta(seconds=0.3),
    linger=timedelta(seconds=0.5),
    concurrent=4,
)


class Order(Value):
    """Every kind of field a hostile body can aim at."""

    name: str
    count: int = 0
    price: float = 0.0
    labels: Mapping[str, str] = {}
    nested: Any = None
    plan: PlanId | None = None


class YamlRoute(StrictRoute):
    media = frozenset({YAML})


class Edge:
    """The application and what its handlers saw."""

    def __init__(self, limits: Limits) -> None:
        self.seen: list[Any] = []
        self.gate = asyncio.Event()
        self.store = FakeStore()
        self.app = FastAPI(redirect_slashes=False)
        self.app.include_router(self._orders(), prefix="/v1")
        self.app.include_router(self._documents(), prefix="/v1")
        self.app.state.idempotency = Idempotency(self.store, identify)
        install(self.app)
        self.app.add_middleware(Bounded, limits=limits)
        self.app.add_middleware(LastResort)
        self.app.add_middleware(TraceContext)

    def _orders(self) -> APIRouter:
        router = APIRouter(route_class=KeyedRoute)

        @router.post("/orders", status_code=201, responses=refusals(StalePlanError))
        async def create(body: Order) -> dict[str, int]:
            self.seen.append(body)
            if body.name == "wait":
                await self.gate.wait()
            _fail(body.name)
            return {"orders": len(self.seen)}

        @router.get("/orders")
        async def find(limit: Limit = DEFAULT_LIMIT, q: Annotated[str, Query(max_length=20)] = "") -> int:
            self.seen.append(q)
            return limit

        @router.post("/orders/{plan_id}/act")
        async def act(plan_id: PlanId) -> PlanId:
            self.seen.append(plan_id)
            return plan_id

        @router.patch("/orders/{plan_id}")
        async def change(plan_id: PlanId, body: Order) -> Order:
            self.seen.append(body)
            return body

        @router.get("/healthz")
        async def health() -> str:
            return "ok"

        return router

    def _documents(self) -> APIRouter:
        router = APIRouter(route_class=YamlRoute)

        @router.put("/documents")
        async def store(text: Annotated[str, Depends(yaml_text)]) -> int:
            return len(text)

        @router.get("/stream")
        async def stream() -> StreamingResponse:
            return StreamingResponse(self._ticks(), media_type="text/event-stream")

        return router

    async def _ticks(self) -> AsyncIterator[str]:
        yield "data: 1\n\n"
        await asyncio.sleep(0.4)
        yield "data: 2\n\n"


def _fail(name: str) -> None:
    match name:
        case "stale":
            raise StalePlanError("the plan is stale")
        case "down":
            raise UnavailableError("10.0.0.1:5432 refused")
        case "bug":
            raise KeyError("hunter2-from-the-bug")


async def identify(request: Request) -> tuple[OrgId, PrincipalId]:
    match request.headers.get("authorization"):
        case None:
            return ORG, PrincipalId(int=7)
        case "other":
            return OTHER_ORG, PrincipalId(int=8)
    raise UnauthenticatedError("no credential")


@asynccontextmanager
async def serving(edge: Edge) -> AsyncIterator[int]:
    """The application on a loopback port of its own."""
    config = uvicorn.Config(
        edge.app, host="127.0.0.1", port=0, http=GuardedProtocol, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    sockets = [config.bind_socket()]
    sockets[0].listen(512)
    task = asyncio.create_task(server.serve(sockets=sockets))
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, timeout=5)
        sockets[0].close()
