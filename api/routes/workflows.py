"""Workflows: what events are about; every pipeline is one of them."""

from fastapi import APIRouter, Response

from api.deps import Caller, KeyedRoute, Page, PagingOf, Services, Shown, guarded
from domain.base import WorkflowId
from domain.errors import ConflictError, NotFoundError
from services.workflows import NewWorkflow, WorkflowPatch

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=KeyedRoute)


class WorkflowOut(Shown):
    id: WorkflowId
    name: str
    description: str
    is_active: bool


@router.get("", **guarded("workflow.read"))
async def find(caller: Caller, services: Services, paging: PagingOf) -> Page[WorkflowOut]:
    found = await services.workflows.page(caller, after=paging.after(WorkflowId), limit=paging.ask)
    return paging.page([WorkflowOut.of(each) for each in found], lambda each: (each.id.shown,))


@router.post("", status_code=201, **guarded("workflow.write", ConflictError))
async def create(body: NewWorkflow, response: Response, caller: Caller, services: Services) -> WorkflowOut:
    workflow = await services.workflows.create(caller, body)
    response.headers["Location"] = f"/api/v1/workflows/{workflow.id.shown}"
    return WorkflowOut.of(workflow)


@router.get("/{workflow_id}", **guarded("workflow.read", NotFoundError))
async def get(workflow_id: WorkflowId, caller: Caller, services: Services) -> WorkflowOut:
    return WorkflowOut.of(await services.workflows.get(caller, workflow_id))


@router.patch("/{workflow_id}", **guarded("workflow.write", NotFoundError))
async def change(workflow_id: WorkflowId, body: WorkflowPatch, caller: Caller, services: Services) -> WorkflowOut:
    return WorkflowOut.of(await services.workflows.change(caller, workflow_id, body))
