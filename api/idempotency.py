"""The same Idempotency-Key with the same request is served once; a repeat gets the stored answer."""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, cast

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.body import Handler, StrictRequest, StrictRoute
from api.errors import KeyReusedError, KeyRunningError, MalformedError
from api.problems import answered
from domain.base import Digest, OrgId, PrincipalId
from domain.errors import HealError
from domain.idempotency import Answer, Begun, Fresh, KeyScope, Mismatch, Replay, Running

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_FOR = timedelta(hours=24)
_QUOTED = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[\x21\x23-\x7e][\x21-\x7e]*")
_LARGEST = 2 * 1024 * 1024
_NOT_FINAL = frozenset({401, 408, 425, 429})
_KEPT_HEADERS = ("content-type", "location", "etag")
_GIVE_BACK_WITHIN = timedelta(seconds=2)
Work = Callable[[], Awaitable[Answer | None]]
Keep = Callable[[KeyScope, Fresh, Work], Awaitable[bool]]


class IdempotencyStore(Protocol):
    """Remembers keys for `KEPT_FOR`; one of many concurrent `begin`s with a new key gets `Fresh`.

    Whoever has it does the work once: `at_once` commits its changes and its answer together, `in_turn` the changes first.
    """

    async def begin(self, scope: KeyScope, digest: Digest) -> Begun: ...

    async def at_once(self, scope: KeyScope, fresh: Fresh, work: Work) -> bool: ...

    async def in_turn(self, scope: KeyScope, fresh: Fresh, work: Work) -> bool: ...

    async def abandon(self, scope: KeyScope, fresh: Fresh) -> None: ...


class Idempotency:
    """What `KeyedRoute` finds as `app.state.idempotency`: the store, and who is asking (401 when nobody)."""

    def __init__(self, store: IdempotencyStore, identify: Callable[[Request], Awaitable[tuple[OrgId, PrincipalId]]]) -> None:
        self.store = store
        self._identify = identify

    async def serve(self, request: StrictRequest, handler: Handler, *, route: str, key: str, keep: Keep) -> Response:
        """The stored answer, or the handler's, which is kept when it is final."""
        org, principal = await self._identify(request)
        scope = KeyScope(org=org, principal=principal, route=route, key=key)
        match await self.store.begin(scope, await digest_of(request)):
            case Replay(answer=stored):
                return _replayed(stored)
            case Running():
                raise KeyRunningError("the first request with this key is still being served")
            case Mismatch():
                raise KeyReusedError("the key was sent before with another request", pointer="header:idempotency-key")
            case Fresh() as fresh:
                return await self._serve_fresh(scope, fresh, request, handler, keep)

    async def _serve_fresh(self, scope: KeyScope, fresh: Fresh, request: Request, handler: Handler, keep: Keep) -> Response:
        answered: list[Response] = []

        async def work() -> Answer | None:
            answered.append(await _answered(request, handler))
            if answered[-1].status_code >= 500:
                raise _CameToNothing
            return _storable(answered[-1])

        kept = False
        try:
            kept = await keep(scope, fresh, work)
        except _CameToNothing:
            kept = False
        finally:
            if not kept:
                async with asyncio.timeout(_GIVE_BACK_WITHIN.total_seconds()):
                    await self.store.abandon(scope, fresh)
        return answered[-1]


class _CameToNothing(Exception):  # noqa: N818
    """The handler failed, so nothing it did is kept."""


class KeyedRoute(StrictRoute):
    """A strict route whose POSTs honour Idempotency-Key when it is sent."""

    async def serve(self, request: StrictRequest, handler: Handler) -> Response:
        key = key_of(request)
        if request.method != "POST" or key is None:
            return await handler(request)
        idempotency = cast(Idempotency, request.app.state.idempotency)
        keep = self._keep(idempotency.store)
        return await idempotency.serve(request, handler, route=route_of(request), key=key, keep=keep)

    def _keep(self, store: IdempotencyStore) -> Keep:
        return store.at_once


class AskingRoute(KeyedRoute):
    """A keyed route that commits in turn: a workflow has to see its change before there is an answer (`RequestKey` names
    that change), or it is too long to hold the ledger."""

    def _keep(self, store: IdempotencyStore) -> Keep:
        return store.in_turn


def route_of(request: Request) -> str:
    """The route as a key knows it: the same under each prefix."""
    endpoint = request.scope["endpoint"]
    return f"{request.method} {endpoint.__module__}.{endpoint.__qualname__}"


def key_of(request: Request) -> str | None:
    """The Idempotency-Key that was sent.

    Raises:
        MalformedError: there are two, or it is none.
    """
    sent = request.headers.getlist(HEADER)
    return parse_key(sent) if sent else None


def parse_key(sent: list[str]) -> str:
    """The key, quoted as the draft says or bare as everybody sends it.

    Raises:
        MalformedError: not exactly one key of 1 to 255 visible ASCII characters.
    """
    text = sent[0].strip(" \t") if len(sent) == 1 else ""
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text if _BARE.fullmatch(text) else ""
    if not 1 <= len(key) <= 255:
        raise MalformedError(
            f"expected one {HEADER} of 1 to 255 visible ASCII characters", pointer="header:idempotency-key", flaw="key"
        )
    return key


async def digest_of(request: Request) -> Digest:
    """What the key stands for: the target with its ids and query, the media type and the body."""
    target = json.dumps(
        [request.path_params, request.url.query, request.headers.get("content-type")], default=str, sort_keys=True
    )
    return hashlib.sha256(target.encode() + b"\n" + await request.body()).hexdigest()


async def _answered(request: Request, handler: Handler) -> Response:
    """The handler's answer; a declared refusal is an answer too."""
    try:
        return await handler(request)
    except (HealError, RequestValidationError, HTTPException) as error:
        return answered(request, error)


def _storable(response: Response) -> Answer | None:
    body = getattr(response, "body", None)  # a streaming answer has none
    final = response.status_code < 300 or (400 <= response.status_code < 500 and response.status_code not in _NOT_FINAL)
    if not final or not isinstance(body, bytes) or len(body) > _LARGEST:
        return None
    headers = tuple((name, response.headers[name]) for name in _KEPT_HEADERS if name in response.headers)
    return Answer(status=response.status_code, headers=headers, body=body.decode())


def _replayed(stored: Answer) -> Response:
    return Response(stored.body, status_code=stored.status, headers={**dict(stored.headers), REPLAYED: "true"})
