"""OTLP metrics: each data point is a signal of kind metric whose key is the metric's name."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from pydantic import JsonValue

from adapters.sources.exporting import Exporting
from adapters.sources.fitting import Observation, distinct, identity, moment
from adapters.sources.otlp import Origin, attributes_of, body_of, labels_of, scoped, time_of
from adapters.sources.reading import UnreadableError, at, expected_object, listed, mapping, number, read_each, text, whole
from adapters.sources.signing import is_bearer
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind

_SHAPES = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_DETAILS = ("count", "sum", "min", "max", "bucketCounts", "explicitBounds", "quantileValues", "scale", "zeroCount")
_NO_VALUE = 1
_TEMPORALITIES = {1: "delta", 2: "cumulative"}


class _Point(NamedTuple):
    origin: Origin
    metric: dict[str, Any]
    shape: str
    content: object


class OtlpMetrics(Exporting):
    """The value of a gauge and of a sum is theirs; of a histogram and of a summary it is the mean, the rest is payload.

    A point that says that nothing was recorded is a signal without a value: missing is a state, not a zero.
    """

    kind = "otlp_metrics"
    request = ExportMetricsServiceRequest
    response = ExportMetricsServiceResponse
    rejected = "rejected_data_points"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return distinct(read_each(lambda: list(_points(inbound)), lambda point: self._signal(point, inbound)))

    def _signal(self, item: _Point, inbound: Inbound) -> Signal:
        point, name = expected_object(item.content), text(item.metric.get("name"))
        if name is None:
            raise UnreadableError("expected a metric with a name")
        attributes, sent = attributes_of(point.get("attributes")), whole(point.get("timeUnixNano"))
        when = sent or moment(None, inbound.arrived)
        value = None if (whole(point.get("flags")) or 0) & _NO_VALUE else _value(point, item.shape)
        kept = {detail: _numbers(point.get(detail)) for detail in _DETAILS}
        return Observation(
            source=self.kind,
            kind=SignalKind.METRIC,
            ts=time_of(sent) or inbound.arrived,
            identity=identity(item.origin.digest, item.origin.scope, name, attributes, when, value, kept),
            key=name,
            event_type=f"metric.{item.shape}",
            value=value,
            service=item.origin.service,
            environment=item.origin.environment,
            labels=labels_of(item.origin, attributes),
            payload={"unit": item.metric.get("unit"), **_course(item, point), **kept},
        ).signal()


def _points(inbound: Inbound) -> Iterator[_Point]:
    body = body_of(inbound, ExportMetricsServiceRequest)
    for origin, metric in scoped(body, resources="resourceMetrics", scopes="scopeMetrics", items="metrics"):
        for shape in _SHAPES:
            for point in listed(at(metric, shape, "dataPoints")):
                yield _Point(origin, mapping(metric), shape, point)


def _value(point: dict[str, Any], shape: str) -> float:
    """The value of the point.

    Raises:
        UnreadableError: it has none that is finite.
    """
    if shape in ("gauge", "sum"):
        found = number(point.get("asDouble" if "asDouble" in point else "asInt"))
    else:
        total, count = number(point.get("sum", 0)), number(point.get("count", 0))
        found = total / count if total is not None and count else 0.0 if count == 0 else None
    if found is None:
        raise UnreadableError("expected a value that is a finite number")
    return found


def _numbers(detail: object) -> object:
    """JSON writes integers of 64 bits as text."""
    if isinstance(detail, list):
        return [_numbers(each) for each in detail]
    return whole(detail) if isinstance(detail, str) else detail


def _course(item: _Point, point: dict[str, Any]) -> dict[str, object]:
    """What a reader needs to turn a growing count into a rate."""
    sort = mapping(item.metric.get(item.shape))
    began = time_of(point.get("startTimeUnixNano"))
    return {
        "temporality": _TEMPORALITIES.get(whole(sort.get("aggregationTemporality")) or 0),
        "monotonic": sort.get("isMonotonic"),
        "start": began and began.isoformat(),
    }
