"""Operations: long work that was accepted."""

from fastapi import APIRouter

from api.deps import Caller, KeyedRoute, Services, guarded
from domain.base import Id, OperationId
from domain.errors import NotFoundError
from domain.operation import Operation

router = APIRouter(prefix="/operations", tags=["operations"], route_class=KeyedRoute)


@router.get("/{operation_id}", **guarded("operation.read", NotFoundError))
async def get(operation_id: OperationId, caller: Caller, services: Services) -> Operation:
    return await services.operations.get(caller.org, operation_id)


def operation_at(work: Id) -> str:
    """Where to ask how long work goes that was just accepted."""
    return f"/api/v1/operations/{OperationId.of(work).shown}"
