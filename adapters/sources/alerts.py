"""What Alertmanager, its API and Grafana share: an alert with labels, annotations, a beginning and an end."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin

from adapters.sources.fitting import Observation, identity, moment
from adapters.sources.reading import UnreadableError, at, expected_object, first, mapping, object_of, read_each, text, whole
from adapters.sources.times import instant
from adapters.sources.words import severity
from domain.base import Instant
from domain.inbound import Parsed
from domain.signal import Signal, SignalKind

_MOST_LEFT_OUT = 2**31 - 1
_SAID_OF_THE_ALERT = ("values", "dashboardURL", "panelURL", "imageURL")
_SAID_OF_THE_GROUP = ("receiver", "groupKey", "externalURL", "truncatedAlerts")


def read_group(body: bytes, read: Callable[[object, dict[str, Any]], Signal]) -> Parsed:
    """Each alert of a webhook's group, read with the group.

    Whoever limits how many alerts a webhook holds is told no more of the others than how many they are.
    """
    parsed = read_each(lambda: _grouped(body), lambda item: read(*item))
    said = parsed.signals[0].payload.get("truncatedAlerts") if parsed.signals else None
    return parsed.model_copy(update={"left_out": min(max(whole(said) or 0, 0), _MOST_LEFT_OUT)})


def _grouped(body: bytes) -> list[tuple[Any, dict[str, Any]]]:
    group = object_of(body)
    if not isinstance(group.get("alerts"), list):
        raise UnreadableError("expected a list of alerts")
    return [(alert, group) for alert in group["alerts"]]


def alert_signal(
    item: object, *, source: str, arrived: Instant, group: Mapping[str, Any], scope: str = "", value: float | None = None
) -> Signal:
    """One alert, firing or resolved by what it says itself: a group that fires may hold alerts that have ended.

    `scope` tells equal fingerprints apart: Grafana counts them within each of its organisations.
    """
    alert = expected_object(item)
    labels, notes = mapping(alert.get("labels")), mapping(alert.get("annotations"))
    began, ended = instant(alert.get("startsAt")), instant(alert.get("endsAt"))
    state = _state(alert, ended, arrived)
    fingerprint = text(alert.get("fingerprint"))
    if not labels and not fingerprint:
        raise UnreadableError("expected an alert with labels")
    key = scope + (fingerprint or identity(labels)[:16])
    return Observation(
        source=source,
        kind=SignalKind.EVENT,
        ts=(ended if state == "resolved" else began) or arrived,
        identity=identity(source, key, moment(began and _to_milliseconds(began), arrived), state),
        key=key,
        event_type=f"alert.{state}",
        severity=severity(first(labels.get("severity"), labels.get("level"), labels.get("priority"))) or "warning",
        value=value,
        text=_said(labels, notes),
        labels=labels,
        payload={
            "annotations": notes or None,
            "startsAt": began and began.isoformat(),
            "endsAt": ended and ended.isoformat(),
            "generatorURL": _link(alert, group),
            **{name: alert.get(name) for name in _SAID_OF_THE_ALERT},
            **{name: group.get(name) for name in _SAID_OF_THE_GROUP},
        },
    ).signal()


def _to_milliseconds(when: Instant) -> Instant:
    """Alertmanager's webhook is more exact than its API: the same alert is known in both."""
    return when.replace(microsecond=when.microsecond // 1000 * 1000)


def _state(alert: Mapping[str, Any], ended: Instant | None, arrived: Instant) -> str:
    stated = (text(alert.get("status")) or "").lower()
    if stated in ("firing", "resolved"):
        return stated
    return "resolved" if ended and ended <= arrived else "firing"


def _said(labels: Mapping[str, Any], notes: Mapping[str, Any]) -> str | None:
    said = [text(notes.get(name)) for name in ("summary", "message", "description")]
    return "\n".join(dict.fromkeys(part for part in said if part)) or text(labels.get("alertname"))


def _link(alert: Mapping[str, Any], group: Mapping[str, Any]) -> str | None:
    """Grafana's links may be relative to where it says it lives."""
    link, home = text(at(alert, "generatorURL")), text(group.get("externalURL"))
    try:
        return urljoin(home, link) if link and home else link
    except ValueError:
        return link
