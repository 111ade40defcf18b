"""Bodies are read strictly, once, before FastAPI sees them: what this lets through is safe to store as text and jsonb."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi.routing import APIRoute
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from api.errors import MalformedError, UnsupportedMediaError
from api.strict_json import parse, text_of
from domain.errors import InvalidError

JSON = "application/json"
YAML = "application/yaml"
NDJSON = "application/x-ndjson"
MOST_ITEMS = 5_000
"""How many a batch may have."""
_CHARSETS = ("", "charset=utf-8")
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Item = JsonValue | MalformedError
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """A request whose JSON was parsed strictly; FastAPI takes the parsed value from here."""

    _value: JsonValue = None
    _items: "list[Item] | None" = None

    async def check(self, media: frozenset[str]) -> None:
        """Read the body.

        Raises:
            UnsupportedMediaError: a body of a media type this route does not take.
            MalformedError: bytes that are not what they claim to be.
            InvalidError: more lines than a batch may have items.
        """
        raw = await self.body()
        if not raw:
            return
        match media_type(self, media):
            case "application/json":
                self._value = parse(raw)
            case "application/x-ndjson":
                self._items = [_item(line) for line in _lines(raw)]
            case _:
                text_of(raw)

    async def json(self) -> JsonValue:
        return self._value

    @property
    def batch(self) -> "list[Item]":
        """The items of a batch, a JSON list or a line each; one that is not JSON stands there as its flaw.

        Raises:
            InvalidError: the body is no list.
        """
        if self._items is not None:
            return self._items
        if not isinstance(self._value, list):
            raise InvalidError("must be a list")
        return list[Item](self._value)


def _lines(raw: bytes) -> list[bytes]:
    """Counted before any is read: a line is dearer than its bytes."""
    lines = [] if raw.count(b"\n") > 2 * MOST_ITEMS else [line for line in raw.split(b"\n") if line.strip()]
    if not 1 <= len(lines) <= MOST_ITEMS:
        raise InvalidError(f"expected 1 to {MOST_ITEMS} items")
    return lines


def _item(line: bytes) -> "Item":
    try:
        return parse(line)
    except MalformedError as error:
        return error.with_traceback(None)


class StrictRoute(APIRoute):
    """The route class of every router: no handler meets a body that was not checked."""

    media: ClassVar[frozenset[str]] = frozenset({JSON})

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            checked = StrictRequest(request.scope, request.receive)
            if request.method in _UNSAFE:
                await checked.check(self.media)
            return await self.serve(checked, handler)

        return strict

    async def serve(self, request: StrictRequest, handler: Handler) -> Response:
        """Answer a checked request; subclasses may answer without the handler."""
        return await handler(request)


async def yaml_text(request: Request) -> str:
    """Dependency: the body of a route that takes application/yaml, as text that is safe to store."""
    raw = await request.body()
    if not raw:
        raise MalformedError("expected a YAML document, got an empty body", flaw="empty")
    media_type(request, frozenset({YAML}))
    return text_of(raw)


def media_type(request: Request, accepted: frozenset[str]) -> str:
    """The body's media type, when it is one of `accepted` in UTF-8 and said exactly once."""
    sent = request.headers.getlist("content-type")
    kind, _, parameter = (sent[0] if len(sent) == 1 else "").partition(";")
    kind, charset = kind.strip().lower(), parameter.strip().lower().replace('"', "")
    if kind not in accepted or charset not in _CHARSETS:
        raise UnsupportedMediaError(f"expected one Content-Type of {', '.join(sorted(accepted))}, in UTF-8")
    return kind
