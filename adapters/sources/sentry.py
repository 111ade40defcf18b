"""Sentry's integration platform: issue alerts, metric alerts, and the life of issues."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from adapters.sources.answering import Answering
from adapters.sources.fitting import Observation, identity, moment
from adapters.sources.reading import at, first, listed, mapping, object_of, read_each, text
from adapters.sources.signing import is_signed
from adapters.sources.times import instant
from adapters.sources.words import severity
from domain.base import Instant
from domain.inbound import Inbound, Parsed
from domain.signal import Signal, SignalKind

_ISSUE_STATES = {
    "created": "firing",
    "unresolved": "firing",
    "triggered": "firing",
    "resolved": "resolved",
    "archived": "resolved",
    "ignored": "resolved",
}


class Sentry(Answering):
    """What an alert opened is resolved by another resource: both are about `issue/ID`."""

    kind = "sentry"

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_signed(inbound.body, inbound.headers.get("sentry-hook-signature", ""), secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        return read_each(lambda: [object_of(inbound.body)], lambda body: self._signal(body, inbound))

    def _signal(self, body: dict[str, Any], inbound: Inbound) -> Signal:
        resource = text(inbound.headers.get("sentry-hook-resource"))
        content, action = mapping(body.get("data")), text(body.get("action")) or "unknown"
        sent = instant(inbound.headers.get("sentry-hook-timestamp")) or inbound.arrived
        if resource == "metric_alert" or "metric_alert" in content:
            return self._metric_alert(content, action, sent)
        if event := mapping(content.get("event")) or mapping(content.get("error")):
            return self._event(event, content, action, sent)
        if issue := mapping(content.get("issue")):
            return self._issue(issue, action, sent)
        return Observation(
            source=self.kind,
            kind=SignalKind.EVENT,
            ts=sent,
            identity=identity(self.kind, body, moment(sent, inbound.arrived)),
            event_type=f"sentry.{resource or 'event'}.{action}",
            severity="info",
            labels={"action": action, "actor": text(at(body, "actor", "name"))},
        ).signal()

    def _event(self, event: dict[str, Any], content: dict[str, Any], action: str, sent: Instant) -> Signal:
        issue = first(event.get("issue_id"), event.get("groupid"), at(event, "issue", "id")) or ""
        happened = instant(event.get("datetime")) or instant(event.get("timestamp"))
        return Observation(
            source=self.kind,
            kind=SignalKind.EVENT,
            ts=happened or sent,
            identity=identity(self.kind, "event", issue, text(event.get("event_id")) or moment(happened, sent), action),
            key=f"issue/{issue}",
            event_type="alert.firing",
            severity=severity(event.get("level")) or "error",
            text=_said(event),
            service=first(content.get("project_slug"), event.get("project_slug"), event.get("project_name")),
            environment=text(event.get("environment")),
            labels={
                **_tags(event.get("tags")),
                "culprit": text(event.get("culprit")),
                "platform": text(event.get("platform")),
                "release": text(event.get("release")),
                "rule": text(content.get("triggered_rule")),
                "project": text(event.get("project")),
            },
            payload={"web_url": event.get("web_url"), "frames": _frames(event) or None},
        ).signal()

    def _issue(self, issue: dict[str, Any], action: str, sent: Instant) -> Signal:
        number, state = text(issue.get("id")) or "", _ISSUE_STATES.get(action)
        seen = instant(issue.get("lastSeen"))
        return Observation(
            source=self.kind,
            kind=SignalKind.EVENT,
            ts=sent,
            identity=identity(self.kind, "issue", number, action, moment(seen, sent)),
            key=f"issue/{number}",
            event_type=f"alert.{state}" if state else f"sentry.issue.{action}",
            severity=(severity(issue.get("level")) or "error") if state else "info",
            text=text(issue.get("title")),
            service=first(at(issue, "project", "slug"), at(issue, "project", "name")),
            labels={
                "action": action,
                "short_id": text(issue.get("shortId")),
                "culprit": text(issue.get("culprit")),
                "platform": text(issue.get("platform")),
                "status": text(issue.get("status")),
                "substatus": text(issue.get("substatus")),
            },
            payload={name: issue.get(name) for name in ("web_url", "permalink", "count", "userCount")},
        ).signal()

    def _metric_alert(self, content: dict[str, Any], action: str, sent: Instant) -> Signal:
        alert = mapping(content.get("metric_alert"))
        about = first(alert.get("identifier"), alert.get("id")) or ""
        began = instant(first(alert.get("date_started"), alert.get("date_detected")))
        ended = instant(alert.get("date_closed")) if action == "resolved" else None
        return Observation(
            source=self.kind,
            kind=SignalKind.EVENT,
            ts=ended or (sent if action == "resolved" else began or sent),
            identity=identity(self.kind, "metric_alert", about, action, moment(began, sent)),
            key=f"metric_alert/{about}",
            event_type="alert.resolved" if action == "resolved" else "alert.firing",
            severity=severity(action) or "warning",
            text=first(content.get("description_title"), alert.get("title")),
            service=first(*listed(alert.get("projects"))),
            environment=text(at(alert, "alert_rule", "environment")),
            labels={"rule": text(at(alert, "alert_rule", "name")), "action": action},
            payload={
                "description": content.get("description_text"),
                "web_url": content.get("web_url"),
                "query": at(alert, "alert_rule", "query"),
                "aggregate": at(alert, "alert_rule", "aggregate"),
            },
        ).signal()


def _said(event: dict[str, Any]) -> str | None:
    thrown = mapping(next(iter(reversed(listed(at(event, "exception", "values")))), None))
    message = ": ".join(part for part in (text(thrown.get("type")), text(thrown.get("value"))) if part)
    return first(message, event.get("title"), event.get("message"), at(event, "logentry", "formatted"))


def _frames(event: dict[str, Any]) -> list[str]:
    """The last frames of the last exception, the place of the error at the end."""
    thrown = mapping(next(iter(reversed(listed(at(event, "exception", "values")))), None))
    frames = [mapping(frame) for frame in listed(at(thrown, "stacktrace", "frames"))[-20:]]
    return [" ".join(first(frame.get(name)) or "?" for name in ("filename", "function", "lineno")) for frame in frames]


def _tags(tags: object) -> dict[str, object]:
    """Tags come as pairs, as objects with key and value, or as one object."""
    if isinstance(tags, dict):
        return tags
    found: dict[str, object] = {}
    for tag in listed(tags):
        match tag:
            case [str(name), value] | {"key": str(name), "value": value}:
                found[name] = value
    return found
