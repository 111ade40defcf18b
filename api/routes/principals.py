"""Principals: the people and service accounts of an org."""

from fastapi import APIRouter, Response

from api.deps import Caller, KeyedRoute, Page, PagingOf, Services, guarded
from domain.base import PrincipalId
from domain.errors import ConflictError, NotFoundError
from domain.identity import Principal
from domain.principals import NewPrincipal, PrincipalPatch

router = APIRouter(prefix="/principals", tags=["admin"], route_class=KeyedRoute)


@router.get("", **guarded("principal.read"))
async def find(caller: Caller, services: Services, paging: PagingOf) -> Page[Principal]:
    found = await services.principals.page(caller.org, after=paging.after(PrincipalId), limit=paging.ask)
    return paging.page(found, lambda each: (each.id.shown,))


@router.post("", status_code=201, **guarded("principal.write", NotFoundError, ConflictError))
async def create(body: NewPrincipal, response: Response, caller: Caller, services: Services) -> Principal:
    """A person, or a service account with its owner."""
    principal = await services.principals.create(caller, body)
    response.headers["Location"] = f"/api/v1/principals/{principal.id.shown}"
    return principal


@router.get("/me", **guarded("principal.read"))
async def me(caller: Caller) -> Principal:
    """Whoever calls."""
    return caller.principal


@router.get("/{principal_id}", **guarded("principal.read", NotFoundError))
async def get(principal_id: PrincipalId, caller: Caller, services: Services) -> Principal:
    return await services.principals.get(caller.org, principal_id)


@router.patch("/{principal_id}", **guarded("principal.write", NotFoundError, ConflictError))
async def change(principal_id: PrincipalId, body: PrincipalPatch, caller: Caller, services: Services) -> Principal:
    return await services.principals.change(caller, principal_id, body)
