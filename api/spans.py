"""Every request is a span; one that is a stage of a story bears the stage's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.ports import Span, Spans

STAGES = {
    ("POST", "/events"): "signal.ingest",
    ("POST", "/ai/anomaly/detect"): "anomaly.detect",
    ("POST", "/fix/plan"): "fix.plan",
    ("POST", "/fix/preflight"): "preflight",
    ("POST", "/fix/execute"): "execute",
}
_SILENT = ("/healthz", "/readyz", "/metrics")


class Spanned:
    """ASGI middleware inside the trace's: letters written by the request carry this span on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        spans = _spans_of(scope)
        if spans is None or scope["path"].endswith(_SILENT):
            await self._app(scope, receive, send)
            return
        with spans.open("request", method=scope["method"]) as span:
            try:
                await self._app(scope, receive, send)
            finally:
                _name(span, scope)


def _spans_of(scope: Scope) -> Spans | None:
    if scope["type"] != "http":
        return None
    services = getattr(scope["app"].state, "services", None)
    return getattr(services, "spans", None)


def _name(span: Span, scope: Scope) -> None:
    """After the answer, when it is known which route it was; an unknown path never becomes a name."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return
    span.update_name(STAGES.get((scope["method"], path)) or f"{scope['method']} {path}")
