"""OTLP traces: a span that failed is an event, every other is a point of the metric that its name is: how long it took."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from pydantic import JsonValue

from adapters.sources.exporting import Exporting
from adapters.sources.fitting import Observation, distinct, identity
from adapters.sources.otlp import Origin, attributes_of, body_of, hex_id, labels_of, long_ones, scoped, time_of
from adapters.sources.reading import UnreadableError, at, expected_object, first, listed, read_each, text, whole
from adapters.sources.signing import is_bearer
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind

_ERROR = 2
_FAILED = "span.error"
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


class OtlpTraces(Exporting):
    """A span is known by its trace and its own id. Its value is its duration in seconds, failed or not."""

    kind = "otlp_traces"
    request = ExportTraceServiceRequest
    response = ExportTraceServiceResponse
    rejected = "rejected_spans"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return distinct(
            read_each(lambda: _spans(inbound), lambda item: self._signal(item[0], expected_object(item[1]), inbound))
        )

    def error_of(self, signal: Signal) -> Mapping[str, JsonValue] | None:
        """Of a span that failed: the exception that it saw last."""
        if signal.event_type != _FAILED:
            return None
        return {name: value for name, value in signal.payload.items() if name.startswith("exception.")}

    def _signal(self, origin: Origin, span: dict[str, Any], inbound: Inbound) -> Signal:
        trace, own = hex_id(span.get("traceId"), digits=32), hex_id(span.get("spanId"), digits=16)
        if trace is None or own is None:
            raise UnreadableError("expected a trace id of 32 and a span id of 16 hexadecimal digits")
        attributes, failed = attributes_of(span.get("attributes")), whole(at(span, "status", "code")) == _ERROR
        thrown = _thrown(span) if failed else {}
        message = ": ".join(part for part in (text(thrown.get(f"exception.{name}")) for name in ("type", "message")) if part)
        return Observation(
            source=self.kind,
            kind=SignalKind.EVENT if failed else SignalKind.METRIC,
            ts=time_of(span.get("endTimeUnixNano"), span.get("startTimeUnixNano")) or inbound.arrived,
            identity=identity(self.kind, trace, own),
            key=text(span.get("name")),
            event_type=_FAILED if failed else "span.duration",
            severity="error" if failed else "info",
            value=_seconds(span),
            text=first(at(span, "status", "message"), message) if failed else None,
            service=origin.service,
            environment=origin.environment,
            trace_id=trace,
            labels=labels_of(
                origin,
                attributes,
                span_id=own,
                parent_span_id=hex_id(span.get("parentSpanId"), digits=16),
                span_kind=_KINDS.get(whole(span.get("kind")) or 0),
            ),
            payload={
                "attributes": long_ones(attributes),
                **{name: value for name, value in thrown.items() if name.startswith("exception.")},
            },
        ).signal()


def _spans(inbound: Inbound) -> list[tuple[Origin, Any]]:
    body = body_of(inbound, ExportTraceServiceRequest)
    return list(scoped(body, resources="resourceSpans", scopes="scopeSpans", items="spans"))


def _seconds(span: dict[str, Any]) -> float | None:
    began, ended = whole(span.get("startTimeUnixNano")), whole(span.get("endTimeUnixNano"))
    return (ended - began) / 1e9 if began and ended and ended >= began else None


def _thrown(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of the last exception that the span saw."""
    events = [event for event in listed(span.get("events")) if at(event, "name") == "exception"]
    return attributes_of(at(events[-1], "attributes")) if events else {}
