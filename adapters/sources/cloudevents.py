"""CloudEvents 1.0 over HTTP: binary (attributes in `ce-` headers), structured (one JSON event) and batched (a list)."""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import JsonValue

from adapters.sources.answering import Answering
from adapters.sources.fitting import Observation, identity, shown
from adapters.sources.reading import UnreadableError, at, expected_object, first, json_of, listed, number, read_each, text
from adapters.sources.signing import is_bearer
from adapters.sources.times import instant
from adapters.sources.words import environment_of, service_of, severity
from domain.base import Instant
from domain.inbound import Inbound, MappingFlaw, Parsed
from domain.signal import Signal, SignalKind

_REQUIRED = ("id", "source", "type")
_CORE = frozenset({"specversion", "id", "source", "type", "time", "data", "data_base64"})
_TRACE = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_KINDS = (
    (re.compile(r"deploy|rollout|\brelease", re.IGNORECASE), SignalKind.DEPLOY),
    (re.compile(r"pipeline|taskrun|workflow|\bjob\b|build", re.IGNORECASE), SignalKind.EXECUTION),
)


class CloudEvents(Answering):
    """An event is known by `source` and `id`, as the specification promises. A batch is taken unless `batch` is false."""

    kind = "cloudevents"

    def flaw(self, mapping: Mapping[str, JsonValue]) -> MappingFlaw | None:
        if set(mapping) - {"batch"}:
            return MappingFlaw(pointer="", reason="expected nothing but batch")
        if not isinstance(mapping.get("batch", True), bool):
            return MappingFlaw(pointer="/batch", reason="expected true or false")
        return None

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(
            lambda: _events(inbound, are_batches_taken=config.get("batch") is not False),
            lambda event: self._signal(expected_object(event), inbound.arrived),
        )

    def _signal(self, event: dict[str, Any], arrived: Instant) -> Signal:
        if event.get("specversion") != "1.0":
            raise UnreadableError("expected specversion 1.0")
        if missing := [name for name in _REQUIRED if not text(event.get(name))]:
            raise UnreadableError(f"expected the attribute {missing[0]}")
        data, named = _content(event), text(event["type"]) or ""
        extensions = {name: value for name, value in event.items() if name not in _CORE}
        return Observation(
            source=self.kind,
            kind=_kind(named),
            ts=instant(event.get("time")) or arrived,
            identity=identity(self.kind, event["source"], event["id"]),
            key=first(event.get("subject"), event["source"]),
            event_type=named,
            severity=severity(first(event.get("severity"), at(data, "severity"), at(data, "level"))) or "info",
            value=number(at(data, "value")),
            text=_said(data),
            service=service_of(extensions) or (service_of(data) if isinstance(data, dict) else None),
            environment=environment_of(extensions) or (environment_of(data) if isinstance(data, dict) else None),
            trace_id=_trace(event.get("traceparent")),
            correlation_id=text(event.get("correlationid")),
            labels={**extensions, "source": event["source"], "id": event["id"]},
            payload={"data": data},
        ).signal()


def _events(inbound: Inbound, *, are_batches_taken: bool) -> list[Any]:
    content_type = inbound.headers.get("content-type", "").lower()
    if content_type.startswith("application/cloudevents-batch"):
        if not are_batches_taken:
            raise UnreadableError("this connector takes no batches")
        batch = json_of(inbound.body)
        if not isinstance(batch, list):
            raise UnreadableError("expected a list of events")
        return listed(batch)
    if content_type.startswith("application/cloudevents"):
        return [json_of(inbound.body)]
    return [_from_headers(inbound, content_type)]


def _from_headers(inbound: Inbound, content_type: str) -> dict[str, Any]:
    try:
        event: dict[str, Any] = {
            name.removeprefix("ce-"): unquote(value, errors="strict")
            for name, value in inbound.headers.items()
            if name.startswith("ce-")
        }
    except UnicodeError:
        raise UnreadableError("an attribute in a header is not UTF-8") from None
    event |= {"datacontenttype": content_type} if content_type else {}
    if inbound.body and ("json" in content_type or not content_type):
        event["data"] = json_of(inbound.body)
    elif inbound.body:
        event["data"] = _decoded(inbound.body)
    return event


def _content(event: dict[str, Any]) -> Any:
    if "data_base64" not in event:
        return event.get("data")
    try:
        return _decoded(base64.b64decode(text(event["data_base64"]) or "", validate=True))
    except ValueError:
        raise UnreadableError("data_base64 is not base64") from None


def _decoded(content: bytes) -> str | None:
    """Content that is text; other content is not for reading."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _kind(event_type: str) -> SignalKind:
    return next((kind for pattern, kind in _KINDS if pattern.search(event_type)), SignalKind.EVENT)


def _said(data: Any) -> str | None:
    found = first(*(at(data, name) for name in ("message", "summary", "description", "text", "reason"))) or text(data)
    return found or (shown(data) if data else None)


def _trace(traceparent: object) -> str | None:
    match = _TRACE.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return match[1] if match else None
