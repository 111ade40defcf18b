"""PagerDuty's Events API, version 2: whoever sends to PagerDuty sends to us by changing an address."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from adapters.sources.answering import Answering
from adapters.sources.fitting import Observation, identity, moment
from adapters.sources.reading import UnreadableError, mapping, number, object_of, read_each, text
from adapters.sources.signing import is_same
from adapters.sources.times import instant
from adapters.sources.words import severity
from domain.inbound import Inbound, Parsed, Reply, Taken
from domain.signal import Signal, SignalKind

_STATES = {"trigger": "firing", "acknowledge": "acknowledged", "resolve": "resolved"}
_KEY = re.compile(r"(?P<endpoint>in_[0-9a-z]{52})_(?P<secret>.{1,4096})", re.ASCII)
_NAMES = ("component", "group", "class")


class PagerDutyEvents(Answering):
    """The body's `routing_key` is the secret, behind the endpoint and `_` where the path names none.

    An event without `dedup_key` is about what its content says. One without a time happens whenever it is sent: a trigger
    that is repeated does no harm, and one that follows upon a resolve is no repetition.
    """

    kind = "pagerduty_events"

    def address(self, inbound: Inbound) -> str | None:
        named = _KEY.fullmatch(_routing_key(inbound))
        return named["endpoint"] if named else None

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        given = _routing_key(inbound)
        named = _KEY.fullmatch(given)
        return is_same(named["secret"] if named else given, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(lambda: [object_of(inbound.body)], lambda body: self._signal(body, inbound))

    def reply(self, inbound: Inbound, taken: Taken) -> Reply:
        if taken.refused:
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": [taken.reason]}
            return Reply(status=400, body=json.dumps(said).encode())
        body = object_of(inbound.body)
        key = text(body.get("dedup_key")) or identity(self.kind, mapping(body.get("payload")))[:32]
        return Reply(body=json.dumps({"status": "success", "message": "Event processed", "dedup_key": key}).encode())

    def _signal(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        if "event_action" not in body and "/change/" in f"/{inbound.tail}/":
            return self._change(body, inbound)
        state = _STATES.get((text(body.get("event_action")) or "").lower())
        if state is None:
            raise UnreadableError("expected event_action to be trigger, acknowledge or resolve")
        payload = mapping(body.get("payload"))
        sent = instant(payload.get("timestamp"))
        key = text(body.get("dedup_key")) or identity(self.kind, payload)[:32]
        return Observation(
            **self._common(body, payload),
            kind=SignalKind.EVENT,
            ts=sent or inbound.arrived,
            identity=identity(self.kind, key, state, (sent or inbound.arrived).isoformat()),
            key=key,
            event_type=f"alert.{state}",
            severity=severity(payload.get("severity")) or "warning",
        ).signal()

    def _change(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        """A change event: that something was deployed, never that something is wrong."""
        payload = mapping(body.get("payload"))
        sent = instant(payload.get("timestamp"))
        return Observation(
            **self._common(body, payload),
            kind=SignalKind.DEPLOY,
            ts=sent or inbound.arrived,
            identity=identity(self.kind, "change", payload, moment(sent, inbound.arrived)),
            key=text(payload.get("source")),
            event_type="deploy.succeeded",
            severity="info",
        ).signal()

    def _common(self, body: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
        details = mapping(payload.get("custom_details"))
        named = {name: value for name, value in details.items() if isinstance(value, str | int | float)}
        said = {name: text(payload.get(name)) for name in _NAMES}
        return {
            "source": self.kind,
            "value": number(details.get("value")),
            "text": text(payload.get("summary")),
            "service": text(details.get("service")) or said["component"],
            "labels": {**named, **said, "source": text(payload.get("source")), "client": text(body.get("client"))},
            "payload": {"custom_details": details or None, "links": body.get("links")},
        }


def _routing_key(inbound: Inbound) -> str:
    try:
        return text(object_of(inbound.body).get("routing_key")) or ""
    except UnreadableError:
        return ""
