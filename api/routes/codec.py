"""Decode payloads for the engine's Web UI; there is no encode."""

import hashlib
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from api.deps import COOKIE, PURPOSE, Caller, Services, ShownOnceRoute, StrictRoute, from_browser, guarded, preflight, refusals
from domain.base import Value
from domain.errors import UnauthenticatedError
from domain.idempotency import Answer, Fresh, KeyScope
from domain.wire import WirePayload

router = APIRouter(prefix="/codec", tags=["codec"], route_class=StrictRoute)  # what it decodes is stored nowhere
shown_once = APIRouter(prefix="/codec", tags=["codec"], route_class=ShownOnceRoute)

_PATH = "/api/v1/codec"
_LINK = "codec link"
_LINK_LASTS = timedelta(minutes=5)
_COOKIE_LASTS = timedelta(hours=8)


class Payloads(Value):
    payloads: tuple[WirePayload, ...] = Field(max_length=1_000)


class LinkOut(Value):
    """A link that works once, for five minutes; whoever opens it may decode what its maker may."""

    code: str | None
    url: str | None


@router.post("/decode", **guarded("codec.decode", first=(Depends(from_browser),)))
async def decode(body: Payloads, caller: Caller, services: Services) -> Payloads:
    """Payloads of the caller's org, in clear."""
    return Payloads(payloads=tuple(await services.codec.decode(caller, body.payloads)))


@router.options("/decode", include_in_schema=False)
async def may_decode(request: Request) -> Response:
    return preflight(request)


@shown_once.post("/session", status_code=201, **guarded("codec.decode"))
async def link(request: Request, caller: Caller, services: Services) -> LinkOut:
    """A one-time link that lets a browser decode."""
    code = await services.identity.lend(caller, _LINK, _LINK_LASTS)
    return LinkOut(code=code, url=f"{request.app.state.api_url}{_PATH}/session?code={code}")


@router.get("/session", response_class=Response, responses=refusals(UnauthenticatedError))
async def session(request: Request, services: Services, code: Annotated[str, Query(max_length=300)] = "") -> Response:
    """Set the cookie, for the decode route alone, and lead on to the Web UI."""
    caller = await services.identity.borrowed(code, _LINK)
    await _use_up(services, caller, code)
    cookie = await services.identity.lend(caller, PURPOSE, _COOKIE_LASTS)
    response = Response("This browser may decode now. Open the Web UI.\n", media_type="text/plain")
    if request.app.state.ui_origin:
        response = Response(status_code=303, headers={"Location": request.app.state.ui_origin})
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(_COOKIE_LASTS.total_seconds()),
        path=f"{_PATH}/decode",
        secure=str(request.app.state.api_url).startswith("https:"),
        httponly=True,
        samesite="strict",
    )
    return response


async def _use_up(services: Services, caller: Caller, code: str) -> None:
    """Raises UnauthenticatedError: the link was opened before."""
    key = hashlib.sha256(code.encode()).hexdigest()
    scope = KeyScope(org=caller.org, principal=caller.id, route=_LINK, key=key)
    fresh = await services.idempotency.begin(scope, key)
    if not isinstance(fresh, Fresh):
        raise UnauthenticatedError("the link was opened before: make another one")
    await services.idempotency.finish(scope, fresh, Answer(status=204))
