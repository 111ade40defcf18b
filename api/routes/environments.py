"""Environments: where pipelines live, and whether people have to agree there."""

from fastapi import APIRouter

from api.deps import Caller, KeyedRoute, Page, Services, guarded
from domain.base import Name, Value
from domain.errors import ConflictError
from domain.identity import Environment

router = APIRouter(prefix="/environments", tags=["admin"], route_class=KeyedRoute)


class EnvironmentIn(Value):
    """An environment that does not say otherwise is production."""

    name: Name
    is_production: bool = True


@router.get("", **guarded("environment.read"))
async def find(caller: Caller, services: Services) -> Page[Environment]:
    return Page[Environment](items=await services.environments.all(caller))


@router.post("", status_code=201, **guarded("environment.write", ConflictError))
async def create(body: EnvironmentIn, caller: Caller, services: Services) -> Environment:
    return await services.environments.create(caller, Environment(name=body.name, is_production=body.is_production))
