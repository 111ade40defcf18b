"""Every request has an id and a trace, taken from the client when well formed, made here otherwise, and told back."""

import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.trace import Trace, current_trace

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class TraceContext:
    """ASGI middleware, the outermost: binds `current_trace` and names the request on its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace, parent = _read(Headers(scope=scope))
        token = current_trace.set(trace)

        async def name(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"], headers["traceparent"] = trace.correlation_id, parent
            await send(message)

        try:
            await self._app(_within(scope, parent), receive, name)
        finally:
            current_trace.reset(token)


def ulid() -> str:
    """48 bits of milliseconds and 80 random bits in Crockford's base 32: sortable, 26 characters."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def _read(headers: Headers) -> tuple[Trace, str]:
    sent = [value for name in ("x-request-id", "x-correlation-id") for value in headers.getlist(name)]
    correlation_id = next((value for value in sent if _REQUEST_ID.fullmatch(value)), None) or ulid()
    trace_id, flags = _parent(headers.getlist("traceparent"))
    return Trace(trace_id=trace_id, correlation_id=correlation_id), f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def _parent(sent: list[str]) -> tuple[str, str]:
    """The caller's trace id and flags, or a new sampled trace when there is not exactly one well formed header."""
    match = _TRACEPARENT.fullmatch(sent[0]) if len(sent) == 1 else None
    if match is None or (match[1] == "00" and match[4]):
        return secrets.token_hex(16), "01"
    return match[2], match[3]


def _within(scope: Scope, parent: str) -> Scope:
    """The scope as the application sees it: one valid traceparent, so that spans made inside join the same trace."""
    kept = [(name, value) for name, value in scope["headers"] if name != b"traceparent"]
    return {**scope, "headers": [*kept, (b"traceparent", parent.encode())]}
