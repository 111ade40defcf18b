"""Recovery: work that failed for good, and asking to replay it."""

from collections.abc import Mapping
from typing import ClassVar

from fastapi import APIRouter, Response

from api.deps import Caller, KeyedRoute, Page, PagingOf, Reason, Services, Shown, guarded
from api.routes.executions import ExecutionOut
from api.routes.operations import operation_at
from domain.base import ExecutionId, Instant, PlanId, PrincipalId, RecoveryId, Value
from domain.errors import ConflictError, NotFoundError
from domain.recovery import RecoveryOutcome

router = APIRouter(prefix="/recovery", tags=["recovery"], route_class=KeyedRoute)


class ReplayIn(Value):
    execution_id: ExecutionId
    reason: Reason = ""


class RecoveryOut(Shown):
    names: ClassVar[Mapping[str, str]] = {"execution_id": "execution", "plan_id": "plan"}
    id: RecoveryId
    execution_id: ExecutionId
    strategy: str
    retry_count: int
    dlq_reason: str
    requested_by: PrincipalId
    plan_id: PlanId | None
    replayed_at: Instant | None
    outcome: RecoveryOutcome | None
    created_at: Instant | None


@router.get("/failed", **guarded("recovery.read"))
async def failed(caller: Caller, services: Services, paging: PagingOf) -> Page[ExecutionOut]:
    found = await services.recovery.failed(caller, after=paging.after(ExecutionId), limit=paging.ask)
    return paging.page([ExecutionOut.of(each) for each in found], lambda each: (each.id.shown,))


@router.post("/replay", status_code=202, **guarded("run.replay", NotFoundError, ConflictError))
async def replay(body: ReplayIn, response: Response, caller: Caller, services: Services) -> RecoveryOut:
    """A replay is a plan of one step on the same path as any other; the operation at its Location names that plan."""
    event = await services.recovery.replay(caller, body.execution_id, body.reason)
    response.headers["Location"] = operation_at(event.id)
    return RecoveryOut.of(event)


@router.get("/events", **guarded("recovery.read"))
async def events(caller: Caller, services: Services, paging: PagingOf) -> Page[RecoveryOut]:
    found = await services.recovery.events(caller, after=paging.after(RecoveryId), limit=paging.ask)
    return paging.page([RecoveryOut.of(each) for each in found], lambda each: (each.id.shown,))
