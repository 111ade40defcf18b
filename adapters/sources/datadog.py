"""Datadog's webhooks: JSON by the user's own template, so nothing in it is certain."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from adapters.sources.answering import Unyielding
from adapters.sources.fitting import Observation, identity, moment
from adapters.sources.reading import at, expected_object, first, json_of, listed, read_each, text
from adapters.sources.signing import is_bearer
from adapters.sources.times import instant
from adapters.sources.words import environment_of, service_of, severity
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind

_TITLED = re.compile(r"\[(re-triggered|triggered|recovered|re-warn|warn|re-no data|no data|renotify)\b(?: on )?", re.IGNORECASE)
_STATES = {
    "triggered": "firing",
    "re-triggered": "firing",
    "warn": "firing",
    "re-warn": "firing",
    "no data": "firing",
    "re-no data": "firing",
    "renotify": "firing",
    "recovered": "resolved",
}


class Datadog(Unyielding):
    """Reads the template in our documentation, and the one that Datadog ships.

    An alert is known by `alert_id` and `cycle_key` (or `aggreg_key` and date), its severity and whether it fires: what is
    triggered again or notified again is a duplicate.
    """

    kind = "datadog"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(lambda: _alerts(inbound.body), lambda alert: self._signal(expected_object(alert), inbound))

    def _signal(self, alert: dict[str, Any], inbound: Inbound) -> Signal:
        transition, state = _transition(alert)
        tags, sent = _tags(alert.get("tags")), instant(first(alert.get("date"), alert.get("last_updated")))
        how_bad = _severity(alert, transition)
        monitor, cycle = first(alert.get("alert_id"), alert.get("monitor_id")), text(alert.get("cycle_key"))
        group = first(alert.get("aggreg_key"), alert.get("scope"), None if monitor else _titled(alert))
        return Observation(
            source=self.kind,
            kind=SignalKind.EVENT,
            ts=sent or inbound.arrived,
            identity=identity(self.kind, monitor, group, cycle or moment(sent, inbound.arrived), state or transition, how_bad),
            key=f"{monitor or ''}/{group or ''}",
            event_type=f"alert.{state}" if state else f"datadog.{text(alert.get('event_type')) or 'event'}",
            severity=how_bad,
            text="\n".join(part for part in (text(alert.get("title")), text(alert.get("body"))) if part),
            service=service_of(tags),
            environment=environment_of(tags),
            labels={
                **tags,
                "monitor": monitor,
                "transition": transition,
                "host": first(alert.get("hostname"), tags.get("host")),
                "org": first(at(alert, "org", "name"), at(alert, "org", "id")),
            },
            payload={name: alert.get(name) for name in ("link", "query", "scope", "metric", "id", "event_type")},
        ).signal()


def _alerts(body: bytes) -> list[Any]:
    """One alert, or a list of them: a template may be either."""
    content = json_of(body)
    return content if isinstance(content, list) else [content]


def _transition(alert: dict[str, Any]) -> tuple[str | None, str | None]:
    """What the alert did, and whether it fires: the template that Datadog ships tells it in the title alone."""
    titled = _TITLED.search((text(alert.get("title")) or "")[:64])
    transition = text(alert.get("alert_transition")) or (titled and titled[1])
    return (transition, _STATES.get(transition.strip().lower())) if transition else (None, None)


def _titled(alert: dict[str, Any]) -> str:
    """The title without what the alert did, so that it is the same at the end."""
    return _TITLED.sub("[", text(alert.get("title")) or "", count=1)


def _severity(alert: dict[str, Any], transition: str | None) -> str:
    if transition and "warn" in transition.lower():
        return "warning"
    priority = severity(first(alert.get("priority"), alert.get("alert_priority")))
    return priority or severity(alert.get("alert_type")) or ("error" if transition in ("Triggered", "Re-Triggered") else "info")


def _tags(tags: object) -> dict[str, str]:
    """`name:value` with commas between or in a list; a tag without a value is there, and no more than that."""
    written = tags.split(",") if isinstance(tags, str) else [each for each in listed(tags) if isinstance(each, str)]
    pairs = (tag.strip().partition(":") for tag in written)
    return {name: value or "true" for name, _, value in pairs if name}
