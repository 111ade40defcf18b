"""Tokens: a secret shown once, with scopes and an end."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AliasChoices, Field

from api.deps import Caller, KeyedRoute, Page, PagingOf, Services, ShownOnceRoute, guarded
from domain.base import PrincipalId, TokenId, Value
from domain.errors import NotFoundError
from domain.identity import Token
from domain.principals import NewToken, Scope

router = APIRouter(prefix="/tokens", tags=["admin"], route_class=KeyedRoute)
shown_once = APIRouter(prefix="/tokens", tags=["admin"], route_class=ShownOnceRoute)


class TokenIn(Value):
    """Without a principal it is the caller's own; `expires_in` is an ISO 8601 duration or seconds."""

    principal: PrincipalId | None = Field(default=None, validation_alias=AliasChoices("principal", "principal_id"))
    scopes: tuple[Scope, ...] = Field(default=("*",), min_length=1, max_length=50)
    expires_in: timedelta | None = Field(default=None, gt=timedelta(0), le=timedelta(days=3660))


class TokenOut(Value):
    """`secret` is shown here and never again."""

    token: Token
    secret: str | None


@router.get("", **guarded("token.read"))
async def find(
    caller: Caller, services: Services, paging: PagingOf, principal: Annotated[PrincipalId | None, Query()] = None
) -> Page[Token]:
    found = await services.identity.list_tokens(caller, principal=principal, after=paging.after(TokenId), limit=paging.ask)
    return paging.page(found, lambda each: (each.id.shown,))


@shown_once.post("", status_code=201, **guarded("token.write", NotFoundError))
async def create(body: TokenIn, response: Response, caller: Caller, services: Services) -> TokenOut:
    wanted = NewToken(principal=body.principal or caller.id, scopes=body.scopes, expires_in=body.expires_in)
    issued = await services.identity.create_token(caller, wanted)
    response.headers["Location"] = f"/api/v1/tokens/{issued.token.id.shown}"
    return TokenOut(token=issued.token, secret=issued.secret.get_secret_value())


@router.delete("/{token_id}", **guarded("token.write", NotFoundError))
async def revoke(token_id: TokenId, caller: Caller, services: Services) -> Token:
    """From now on it counts no more; revoking it again changes nothing."""
    return await services.identity.revoke_token(caller, token_id)
