"""How much an org may ask in a minute: said on every answer, and when to come back on a refusal."""

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import QuotaExceededError
from domain.identity import Allowance

_KEY = "allowance"
_NEVER_REFUSED = ("/kill-switches", "/automatic", "/quotas")
"""Whoever floods an org must not keep its people from stopping it, nor a wrong number from being mended."""


def note(request: Request, allowance: Allowance) -> None:
    """Remember it for the answer.

    Raises:
        QuotaExceededError: nothing is left.
    """
    setattr(request.state, _KEY, allowance)
    if allowance.is_exceeded and not request.scope["route"].path.endswith(_NEVER_REFUSED):
        raise QuotaExceededError(f"expected at most {allowance.per_minute} requests per minute of this org")


class Rated:
    """ASGI middleware around the routes: answers to whoever has a token bear the RateLimit headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {}) if scope["type"] == "http" else {}

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and (allowance := state.get(_KEY)) is not None:
                _write(MutableHeaders(scope=message), allowance)
                if message["status"] == 429 and allowance.is_exceeded:
                    MutableHeaders(scope=message)["Retry-After"] = str(allowance.resets_in)
            await send(message)

        await self._app(scope, receive, tell)


def _write(headers: MutableHeaders, allowance: Allowance) -> None:
    headers["RateLimit-Limit"] = str(allowance.per_minute)
    headers["RateLimit-Remaining"] = str(allowance.remaining)
    headers["RateLimit-Reset"] = str(allowance.resets_in)
