"""The one map from whatever went wrong to a Problem+JSON answer (RFC 9457) that repeats nothing that was sent."""

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import MalformedError
from api.sentences import flaw_sentence
from domain.base import Value
from domain.errors import HealError, InvalidError, NotFoundError
from domain.trace import current_trace

MEDIA = "application/problem+json"
RETRY_AFTER = "1"
_MOST_FLAWS = 20
_LONGEST_DETAIL = 500
# A name with a digit beside capitals, or with many digits, could be somebody's key.
_FIELD = re.compile(r"(?=[^0-9]*\Z|[^A-Z]*\Z)(?!(?:[^0-9]*[0-9]){6})[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\uffff]")
_UNEXPECTED = "Something unexpected happened. The request id finds it in the log."
_OUT_OF_REACH = "Something this needs is out of reach or busy. Try again in a moment."
_NOT_FOUND = "There is nothing here, or it is not yours to see."

log = logging.getLogger(__name__)


class Flaw(Value):
    """One thing wrong with a request; `pointer` is a JSON pointer into the body, or like `query:limit` outside it."""

    pointer: str
    code: str
    message: str


class BatchRefusedError(InvalidError):
    """Not one item of a batch was taken."""

    code = "batch_refused"

    def __init__(self, flaws: tuple[Flaw, ...]) -> None:
        super().__init__("no item of the batch was taken")
        self.flaws = flaws


class Problem(Value):
    """The body of every refusal."""

    type: str = Field(examples=["/problems/stale_plan"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="the request id")
    errors: tuple[Flaw, ...] = ()


def install(app: FastAPI) -> None:
    """Answer every refusal of `app` with Problem+JSON; put `LastResort` around it for what nobody expected."""
    for kind in (HealError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handle)


def answer(error: Exception) -> Response:
    """The refusal that `error` stands for; an error nobody declared becomes a 500 that says only its request id."""
    if isinstance(error, HealError):
        return _heal(error)
    if isinstance(error, RequestValidationError):
        return _render("invalid", 422, "The request does not fit this route.", flaws=_flaws(error))
    if isinstance(error, HTTPException):
        return _http(error)
    return _render("internal", 500, _UNEXPECTED)


def pointer(*steps: str | int) -> str:
    """A JSON pointer (RFC 6901); a step that does not look like a field name is shown as `?`, since it was submitted."""
    return "".join(f"/{_step(step)}" for step in steps)


def refusals(*errors: type[HealError]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may refuse with `errors`; 422 is always among them."""
    codes: dict[int, list[str]] = {}
    every: tuple[type[HealError], ...] = (InvalidError, *errors)
    for error in every:
        codes.setdefault(error.status, []).append(error.code)
    return {status: _refusal(status, sorted(set(names))) for status, names in sorted(codes.items())}


def describe(openapi: dict[str, Any]) -> dict[str, Any]:
    """The document with the schemas that `refusals` refers to."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = schema.pop("$defs")
    schemas = openapi.setdefault("components", {}).setdefault("schemas", {})
    return openapi | {"components": openapi["components"] | {"schemas": schemas | parts | {"Problem": schema}}}


class LastResort:
    """ASGI middleware at the edge: what nobody handled is logged by class and answered 500, or cut when half sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = scope["type"] != "http"

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            log.info("client left", extra={"method": scope.get("method")})
        except Exception as error:
            if scope["type"] != "http":
                raise
            log.exception("request failed", extra={"error": type(error).__name__, "method": scope["method"]})
            if not started:
                await answer(error)(scope, receive, send)


async def _handle(request: Request, error: Exception) -> Response:
    return answered(request, error)


def answered(request: Request, error: Exception) -> Response:
    """As `answer`; what was out of reach is in the log, under the request's id."""
    if isinstance(error, HealError) and error.status >= 500:
        log.error("request failed", exc_info=error, extra={"code": error.code, "method": request.method})
    return answer(error)


def _heal(error: HealError) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="suture"'} if error.status == 401 else {}
    return _render(error.code, error.status, _detail(error), flaws=_own_flaws(error), headers=headers)


def _http(error: HTTPException) -> Response:
    phrase = HTTPStatus(error.status_code).phrase
    detail = _NOT_FOUND if error.status_code == 404 else f"{phrase}."
    return _render(phrase.lower().replace(" ", "_"), error.status_code, detail, headers=error.headers or {})


def _render(
    code: str, status: int, detail: str, *, flaws: tuple[Flaw, ...] = (), headers: Mapping[str, str] | None = None
) -> Response:
    trace = current_trace.get()
    problem = Problem(
        type=f"/problems/{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=trace.correlation_id if trace else "",
        errors=flaws,
    )
    retry = {"Retry-After": RETRY_AFTER} if status in {429, 503} else {}
    shown = {"Cache-Control": "no-store"} | retry | dict(headers or {})
    return Response(problem.model_dump_json(), status_code=status, headers=shown, media_type=MEDIA)


def _detail(error: HealError) -> str:
    if isinstance(error, NotFoundError):
        return _NOT_FOUND  # one sentence for unknown and foreign, so that nobody can tell which
    if error.status >= 500:
        return _OUT_OF_REACH if error.retryable else _UNEXPECTED  # its own sentence may name inner addresses
    return _printable(str(error)) or f"{HTTPStatus(error.status).phrase}."


def _own_flaws(error: HealError) -> tuple[Flaw, ...]:
    if isinstance(error, MalformedError):
        return (Flaw(pointer=error.pointer, code=error.flaw, message=_printable(str(error))),)
    if isinstance(error, BatchRefusedError):
        return error.flaws[:_MOST_FLAWS]
    if isinstance(error, InvalidError):
        return (Flaw(pointer=error.pointer, code=error.code, message=_printable(str(error))),)
    return ()


def _flaws(error: RequestValidationError) -> tuple[Flaw, ...]:
    return tuple(_flaw(_place(found["loc"]), found) for found in list(error.errors())[:_MOST_FLAWS])


def item_flaws(error: ValidationError | MalformedError, index: int) -> tuple[Flaw, ...]:
    """What is wrong with one item of a batch."""
    if isinstance(error, MalformedError):
        return (Flaw(pointer=f"/{index}{error.pointer}", code=error.flaw, message=_printable(str(error))),)
    return tuple(_flaw(pointer(index, *found["loc"]), found) for found in error.errors(include_input=False)[:_MOST_FLAWS])


def _flaw(place: str, found: Any) -> Flaw:
    return Flaw(pointer=place, code=found["type"], message=flaw_sentence(found["type"], found.get("ctx", {})))


def _place(loc: tuple[str | int, ...]) -> str:
    where, *steps = loc
    return pointer(*steps) if where == "body" else f"{where}:{'.'.join(_step(step) for step in steps)}"


def _step(step: str | int) -> str:
    # A dot, a dash and letters need no RFC 6901 escape, and a key longer than a field name could be a secret.
    return str(step) if isinstance(step, int) or _FIELD.fullmatch(step) else "?"


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)[:_LONGEST_DETAIL]


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}", "content": content}
