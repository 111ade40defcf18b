"""OTLP logs: each record is a signal of kind log."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from pydantic import JsonValue

from adapters.sources.exporting import Exporting
from adapters.sources.fitting import Observation, distinct, identity, moment
from adapters.sources.otlp import Origin, attributes_of, body_of, hex_id, labels_of, long_ones, said, scoped, time_of
from adapters.sources.reading import expected_object, first, mapping, read_each, whole
from adapters.sources.signing import is_bearer
from adapters.sources.words import severity
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind

_ERRORS = frozenset({"error", "critical"})
_OF_AN_ERROR = ("exception.", "error.", "code.")
_SEVERITIES = ((21, "critical"), (17, "error"), (13, "warning"), (1, "info"))


class OtlpLogs(Exporting):
    """Delivered at least once and without identity: a record is known by all that it says, its time included."""

    kind = "otlp_logs"
    request = ExportLogsServiceRequest
    response = ExportLogsServiceResponse
    rejected = "rejected_log_records"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return distinct(
            read_each(lambda: _records(inbound), lambda item: self._signal(item[0], expected_object(item[1]), inbound))
        )

    def error_of(self, signal: Signal) -> Mapping[str, JsonValue] | None:
        """Of a record of level ERROR or above: its exception, and the code that wrote it."""
        if signal.severity not in _ERRORS:
            return None
        attributes = signal.labels | mapping(signal.payload.get("attributes"))
        return {name: value for name, value in attributes.items() if name.startswith(_OF_AN_ERROR)}

    def _signal(self, origin: Origin, record: dict[str, Any], inbound: Inbound) -> Signal:
        sent, observed = whole(record.get("timeUnixNano")), whole(record.get("observedTimeUnixNano"))
        when = sent or observed or moment(None, inbound.arrived)
        attributes, text = attributes_of(record.get("attributes")), said(record.get("body"))
        number, word = whole(record.get("severityNumber")) or 0, record.get("severityText")
        trace, span = hex_id(record.get("traceId"), digits=32), hex_id(record.get("spanId"), digits=16)
        event = first(record.get("eventName"), attributes.get("event.name"))
        return Observation(
            source=self.kind,
            kind=SignalKind.LOG,
            ts=time_of(sent, observed) or inbound.arrived,
            identity=identity(origin.digest, origin.scope, when, number, word, text, attributes, trace, span),
            key=event,
            event_type=event,
            severity=_severity(number, word),
            text=text or first(attributes.get("exception.message"), event),
            service=origin.service,
            environment=origin.environment,
            trace_id=trace,
            labels=labels_of(origin, attributes, span_id=span),
            payload={"attributes": long_ones(attributes)},
        ).signal()


def _records(inbound: Inbound) -> list[tuple[Origin, Any]]:
    body = body_of(inbound, ExportLogsServiceRequest)
    return list(scoped(body, resources="resourceLogs", scopes="scopeLogs", items="logRecords"))


def _severity(number: int, word: object) -> str | None:
    return next((name for least, name in _SEVERITIES if number >= least), None) or severity(word)
