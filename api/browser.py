"""A browser on one page of the engine's Web UI: one origin, one route, a cookie instead of a token."""

from urllib.parse import urlsplit

from fastapi import Request, Response

from api.callers import remember, services_of
from domain.errors import ForbiddenError

COOKIE = "suture_codec"
PURPOSE = "codec cookie"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "authorization, content-type, x-namespace",
    "Access-Control-Max-Age": "600",
}


def origin_of(url: str | None) -> str | None:
    """What a browser calls the place `url` is at."""
    if url is None:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def from_browser(request: Request, response: Response) -> None:
    """Dependency, before a route's guard: a browser's cookie counts as its token, from the one origin alone.

    Raises:
        ForbiddenError: a cookie from another origin.
        UnauthenticatedError: the cookie counts no more.
    """
    is_ours = _is_ours(request)
    if is_ours:
        response.headers.update(_allowed(request))
    cookie = request.cookies.get(COOKIE)
    if "authorization" in request.headers or cookie is None:
        return
    if not is_ours:
        raise ForbiddenError("the cookie counts for the engine's Web UI alone")
    services = await services_of(request)
    remember(request, await services.identity.borrowed(cookie, PURPOSE))


def preflight(request: Request) -> Response:
    """The answer to a browser that asks whether it may.

    Raises:
        ForbiddenError: another origin.
    """
    if not _is_ours(request):
        raise ForbiddenError("this origin may not")
    return Response(status_code=204, headers=_allowed(request) | _PREFLIGHT)


def _is_ours(request: Request) -> bool:
    origin: str | None = request.app.state.ui_origin
    return origin is not None and request.headers.getlist("origin") == [origin]


def _allowed(request: Request) -> dict[str, str]:
    origin: str = request.app.state.ui_origin
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}
