"""Executions: runs of pipelines, with every attempt at their stages."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query

from api.deps import Caller, KeyedRoute, Page, PagingOf, Services, Shown, guarded
from domain.base import Digest, ExecutionId, IncidentId, Instant, PipelineId, PrincipalId, Value
from domain.errors import NotFoundError
from domain.execution import AttemptKind, AttemptStatus, RunStatus
from domain.stage import StageResult

router = APIRouter(prefix="/executions", tags=["executions"], route_class=KeyedRoute)


class ExecutionOut(Shown):
    names: ClassVar[Mapping[str, str]] = {"pipeline_id": "pipeline", "incident_id": "incident"}
    id: ExecutionId
    pipeline_id: PipelineId
    status: RunStatus
    config_version: int
    started_by: PrincipalId
    failed_stage: str | None
    incident_id: IncidentId | None
    heal_by: Instant | None
    created_at: Instant | None
    started_at: Instant | None
    finished_at: Instant | None
    error_code: str | None
    error_message: str | None
    trace_id: str | None


class AttemptOut(Shown):
    stage: str
    number: int
    kind: AttemptKind
    status: AttemptStatus
    config_version: int
    step_key: str
    step_version: Digest
    result: StageResult | None
    created_at: Instant | None
    started_at: Instant | None
    ended_at: Instant | None


class ExecutionView(Value):
    """An execution with its attempts, in the order they were made."""

    execution: ExecutionOut
    attempts: tuple[AttemptOut, ...]


@router.get("", **guarded("run.read"))
async def find(
    caller: Caller,
    services: Services,
    paging: PagingOf,
    pipeline_id: Annotated[PipelineId | None, Query()] = None,
    status: RunStatus | None = None,
) -> Page[ExecutionOut]:
    after = paging.after(ExecutionId)
    found = await services.runs.page(caller, pipeline=pipeline_id, status=status, after=after, limit=paging.ask)
    return paging.page([ExecutionOut.of(each) for each in found], lambda each: (each.id.shown,))


@router.get("/{execution_id}", **guarded("run.read", NotFoundError))
async def get(execution_id: ExecutionId, caller: Caller, services: Services) -> ExecutionView:
    view = await services.runs.get(caller, execution_id)
    attempts = tuple(AttemptOut.of(each) for each in view.attempts)
    return ExecutionView(execution=ExecutionOut.of(view.execution), attempts=attempts)
