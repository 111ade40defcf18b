"""Who calls: the principal behind the one credential of a request."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.rates import note
from domain import identity
from domain.base import OrgId, PrincipalId
from domain.errors import UnauthenticatedError
from domain.trace import bind_org
from services import registry

_BEARER = HTTPBearer(auto_error=False, description="an API token: `sut_…`")
AllServices = registry.Services


async def services_of(request: Request) -> registry.Services:
    services: registry.Services = request.app.state.services
    return services


Services = Annotated[registry.Services, Depends(services_of)]


async def caller_of(
    request: Request, _shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)] = None
) -> identity.Caller:
    """Whoever the one bearer token of this request stands for; asked of the database once per request.

    Raises:
        UnauthenticatedError: there is not exactly one, or it does not count.
        QuotaExceededError: the org has asked for too much in this minute.
    """
    known: identity.Caller | None = getattr(request.state, "caller", None)
    if known is None:
        services = await services_of(request)
        known, allowance = await services.identity.admit(_bearer(request))
        remember(request, known)
        note(request, allowance)
    return known


def remember(request: Request, caller: identity.Caller) -> None:
    request.state.caller = caller
    bind_org(caller.org)


async def identify(request: Request) -> tuple[OrgId, PrincipalId]:
    """Whose Idempotency-Key it is."""
    caller = await caller_of(request)
    return caller.org, caller.id


Caller = Annotated[identity.Caller, Depends(caller_of)]


def _bearer(request: Request) -> str:
    sent = request.headers.getlist("authorization")
    scheme, _, token = (sent[0] if len(sent) == 1 else "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("expected one Authorization header with a bearer token")
    return token.strip(" ")
