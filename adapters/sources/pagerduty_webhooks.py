"""PagerDuty's webhooks, version 3: what happens to incidents over there."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from adapters.sources.answering import Answering
from adapters.sources.fitting import Observation, identity
from adapters.sources.reading import at, expected_object, first, mapping, object_of, read_each, text
from adapters.sources.signing import is_signed
from adapters.sources.times import instant
from adapters.sources.words import severity
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind

_STATES = {
    "incident.triggered": "firing",
    "incident.reopened": "firing",
    "incident.unacknowledged": "firing",
    "incident.acknowledged": "acknowledged",
    "incident.resolved": "resolved",
}
_URGENCIES = {"high": "error", "low": "warning"}


class PagerDutyWebhooks(Answering):
    """Signed once for each secret in use; versions of the signature that nobody knows are passed over."""

    kind = "pagerduty_webhooks"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        given = (part.strip().partition("=") for part in inbound.headers.get("x-pagerduty-signature", "").split(",")[:16])
        known = [signature for version, _, signature in given if version == "v1"]
        return any(is_signed(inbound.body, signature, secret) for signature in known)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(lambda: [object_of(inbound.body)], lambda body: self._signal(body, inbound))

    def _signal(self, body: dict[str, Any], inbound: Inbound) -> Signal | None:
        event = expected_object(body.get("event"))
        happened = text(event.get("event_type")) or "event"
        if happened == "pagey.ping":
            return None
        incident, state = mapping(event.get("data")), _STATES.get(happened)
        about = first(at(incident, "incident", "id"), incident.get("id"))
        priority, urgency = text(at(incident, "priority", "summary")), text(incident.get("urgency"))
        return Observation(
            source=self.kind,
            kind=SignalKind.EVENT,
            ts=instant(event.get("occurred_at")) or inbound.arrived,
            identity=identity(self.kind, text(event.get("id")) or event),
            key=about,
            event_type=f"alert.{state}" if state else f"pagerduty.{happened}",
            severity=severity(priority) or _URGENCIES.get(urgency or "", "warning") if state else "info",
            text=first(incident.get("title"), incident.get("summary"), incident.get("content")),
            service=text(at(incident, "service", "summary")),
            labels={
                "event": happened,
                "incident": about,
                "status": text(incident.get("status")),
                "urgency": urgency,
                "priority": priority,
                "actor": text(at(event, "agent", "summary")),
            },
            payload={name: incident.get(name) for name in ("html_url", "incident_key", "number")},
        ).signal()
