"""Quotas: how much an org may use per minute."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from api.deps import Caller, KeyedRoute, Page, Services, Short, guarded
from domain.base import Value
from domain.errors import ConflictError, NotFoundError
from domain.identity import Quota

router = APIRouter(prefix="/quotas", tags=["safety"], route_class=KeyedRoute)


class QuotaIn(Value):
    name: Short
    per_minute: Annotated[int, Field(strict=True, ge=0, le=10_000_000)]


@router.get("", **guarded("quota.read"))
async def find(caller: Caller, services: Services) -> Page[Quota]:
    return Page[Quota](items=tuple(await services.switches.quotas(caller.org)))


@router.put("", **guarded("quota.write", NotFoundError, ConflictError))
async def put(body: QuotaIn, caller: Caller, services: Services) -> Quota:
    """How much per minute: `signals`, `runs` or `requests` of the org, or the signals of one workflow or one source alone, as
    `signals:workflow:wfl_…` and `signals:vendor:alertmanager`. Items beyond a narrow one are refused, the others are taken."""
    return await services.switches.put_quota(caller, Quota(name=body.name, per_minute=body.per_minute))
