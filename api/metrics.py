"""How many requests each route answered, how, and how fast, as Prometheus reads it."""

import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_INTAKE = (
    "/events",
    "/signals/ingest",
    "/monitoring/ingest",
    "/ingest/{source}/{endpoint}",
    "/ingest/otlp/{endpoint}/v1/{signal}",
    "/ingest/alertmanager/{endpoint}/api/v2/alerts",
    "/ingest/pagerduty/v2/enqueue",
    "/ingest/pagerduty/v2/change/enqueue",
)
"""What they refuse for want of something begins at nought, so that a rate sees the first of it."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class RequestMetrics:
    """The instruments; labels are route templates, never paths, so that nobody outside chooses how many there are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self.requests = Counter("suture_http_requests", "requests answered", labels, registry=registry)
        self.seconds = Histogram(
            "suture_http_request_seconds",
            "time from the request's head to its answer's head",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )
        for route in _INTAKE:
            self.requests.labels("POST", route, "503")

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)


class Measured:
    """ASGI middleware: notes each answer as it begins."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.note(scope, message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, note)
