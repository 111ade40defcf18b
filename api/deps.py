"""What routes are made of: who calls, what that caller may, the services, one page of a list."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, params
from fastapi.dependencies.utils import get_flat_params

from api.batches import BatchOut, BatchRoute, ItemOut, Items, ItemStatus, answer, batch_of, read
from api.body import StrictRoute
from api.browser import COOKIE, PURPOSE, from_browser, preflight
from api.callers import AllServices, Caller, Services, identify
from api.cursors import DEFAULT_LIMIT, After, Cursors, Limit, Listing, Page
from api.etags import check_match, etag_of, is_unchanged, not_modified
from api.idempotency import AskingRoute, KeyedRoute, digest_of, key_of, route_of
from api.once import ShownOnceRoute
from api.problems import Flaw, refusals
from api.shown import Moment, Reason, Short, Shown
from api.streams import Event, Streams
from domain.base import Id, RequestId
from domain.errors import (
    ForbiddenError,
    HealError,
    InvalidError,
    QuotaExceededError,
    UnauthenticatedError,
    UnavailableError,
)
from services.authority import IN_PROCESS, check_allowed

__all__ = [
    "COOKIE",
    "DEFAULT_LIMIT",
    "PURPOSE",
    "AllServices",
    "AskingRoute",
    "BatchOut",
    "BatchRoute",
    "Caller",
    "Event",
    "EventStreams",
    "Flaw",
    "IfMatch",
    "IfNoneMatch",
    "ItemOut",
    "ItemStatus",
    "Items",
    "KeyedRoute",
    "May",
    "Moment",
    "Page",
    "Paging",
    "PagingOf",
    "Reason",
    "RequestKey",
    "Services",
    "Short",
    "Shown",
    "ShownOnceRoute",
    "StrictRoute",
    "answer",
    "batch_of",
    "check_match",
    "etag_of",
    "from_browser",
    "guarded",
    "identify",
    "is_unchanged",
    "not_modified",
    "preflight",
    "read",
    "refusals",
]

ACTION = "x-action"
T = TypeVar("T")
I = TypeVar("I", bound=Id)  # noqa: E741 - any kind of id

IfMatch = Annotated[str | None, Header(max_length=2_000)]
IfNoneMatch = Annotated[str | None, Header(max_length=2_000)]


class May:
    """Asks for an act that a route's body names, beyond the one that guards the route."""

    def __init__(self, caller: Caller, services: Services) -> None:
        self._caller = caller
        self._services = services

    async def check(self, action: str) -> None:
        """Raises ForbiddenError: the caller may not."""
        await check_allowed(self._services.policy, self._caller, action)


def guarded(
    action: str,
    *errors: type[HealError],
    answers: Mapping[int, str] | None = None,
    first: tuple[params.Depends, ...] = (),
) -> dict[str, Any]:
    """What makes a route safe to add: its guard, the refusals it declares, and the act as the document shows it."""

    async def guard(request: Request, caller: Caller, services: Services) -> None:
        await check_allowed(services.policy, caller, action)
        _check_query(request)

    asked = () if action in IN_PROCESS else (UnavailableError,)
    responses = refusals(UnauthenticatedError, ForbiddenError, QuotaExceededError, *asked, *errors)
    responses |= {status: {"description": meaning} for status, meaning in (answers or {}).items()}
    return {"dependencies": [*first, Depends(guard)], "responses": responses, "openapi_extra": {ACTION: action}}


async def request_key(request: Request, caller: Caller) -> RequestId | None:
    """The decision request that an Idempotency-Key stands for, so that a repeat after a lost answer finds its row."""
    key = key_of(request)
    if key is None:
        return None
    of = f"{caller.org}/{caller.id}/{route_of(request)}/{key}/{await digest_of(request)}"
    return RequestId(bytes=hashlib.sha256(of.encode()).digest()[:16])


RequestKey = Annotated[RequestId | None, Depends(request_key)]


class Paging:
    """Which page of a list is wanted, for this caller, route and filter alone."""

    def __init__(self, request: Request, caller: Caller, limit: Limit = DEFAULT_LIMIT, cursor: After = None) -> None:
        filters = {name: value for name, value in request.query_params.items() if name not in {"limit", "cursor"}}
        self._listing = Listing(org=caller.org, route=_route(request), filters=filters | dict(request.path_params))
        self._cursors: Cursors = request.app.state.cursors
        self._cursor = cursor
        self._limit = limit

    @property
    def ask(self) -> int:
        """How many items to ask for: one more than shown, to know whether others follow."""
        return self._limit + 1

    def position(self) -> tuple[str, ...] | None:
        """Raises CursorError: the cursor belongs to another list."""
        return None if self._cursor is None else self._cursors.open(self._listing, self._cursor)

    def after(self, kind: type[I]) -> I | None:
        """The id that the page before ended with."""
        found = self.position()
        return None if found is None else kind.of(found[0])

    def page(self, items: Sequence[T], place: Callable[[T], tuple[str, ...]]) -> Page[T]:
        """The items shown, and the cursor of those that follow."""
        shown = tuple(items[: self._limit])
        following = self._cursors.seal(self._listing, place(shown[-1])) if len(items) > self._limit else None
        return Page[T](items=shown, next=following)


PagingOf = Annotated[Paging, Depends()]


async def streams_of(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


EventStreams = Annotated[Streams, Depends(streams_of)]


def _check_query(request: Request) -> None:
    """A filter nobody knows is refused: ignoring it would answer another question than was asked."""
    declared = get_flat_params(request.scope["route"].dependant)
    known = {each.alias for each in declared if isinstance(each.field_info, params.Query)}
    if set(request.query_params) - known:
        raise InvalidError("expected no other query parameter than those of this route", pointer="query:?")


def _route(request: Request) -> str:
    path: str = request.scope["route"].path
    return path
