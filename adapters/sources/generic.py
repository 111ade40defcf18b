"""Any JSON, read by the paths that the connector's configuration names."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic import JsonValue

from adapters.sources.answering import Answering
from adapters.sources.fitting import Observation, identity, moment, shown
from adapters.sources.jsonpath import Effort, EffortError, PathError, values
from adapters.sources.mapping import FIELDS, MOST_LABELS, STATES, flaw_of
from adapters.sources.reading import UnreadableError, first, json_of, listed, mapping, number, read_each, text
from adapters.sources.signing import is_bearer
from adapters.sources.times import instant
from adapters.sources.words import severity
from domain.base import Instant
from domain.inbound import Inbound, MappingFlaw, Parsed
from domain.signal import Signal, SignalKind


class Generic(Answering):
    """Configured by `items` (a path to the items, the body itself if absent), `fields` and `labels` (paths inside an item).

    Of the labels 64 are read. A field is a path, or a word that stands for itself where it does not begin with `$`.
    `severities`, `statuses` and `kinds` translate the sender's words. With a `status` that means firing or resolved, it is
    an alert.
    """

    kind = "generic"

    def flaw(self, mapping: Mapping[str, JsonValue]) -> MappingFlaw | None:
        return flaw_of(mapping)

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        return is_bearer(inbound, secret)

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        effort = Effort()
        return read_each(lambda: _items(inbound.body, config, effort), lambda item: self._signal(item, inbound, config, effort))

    def _signal(self, item: Any, inbound: Inbound, config: Mapping[str, JsonValue], effort: Effort) -> Signal:
        paths, named = mapping(config.get("fields")), islice(mapping(config.get("labels")).items(), MOST_LABELS)
        said = {name: _at(item, paths.get(name), f"fields.{name}", effort) for name in FIELDS}
        labels = {name: _at(item, path, "labels", effort) for name, path in named}
        sent, state = instant(said["ts"]), _state(said["status"], config)
        return Observation(
            source=self.kind,
            kind=_kind(said["kind"], config),
            ts=sent or inbound.arrived,
            identity=_identity(said, item, state, sent, inbound),
            key=first(said["key"], said["id"]),
            event_type=f"alert.{state}" if state else text(said["event_type"]),
            severity=severity(_translated(said["severity"], config.get("severities"))),
            value=number(said["value"]),
            text=shown(said["text"]) if said["text"] is not None else None,
            service=text(said["service"]),
            environment=text(said["environment"]),
            trace_id=_trace(said["trace_id"]),
            correlation_id=text(said["correlation_id"]),
            labels=labels,
            payload={"item": item} if isinstance(item, dict | list) else {},
        ).signal()


def _identity(said: Mapping[str, object], item: object, state: str | None, sent: Instant | None, inbound: Inbound) -> str:
    """Of an alert when it changed counts, too: what fires again after its end has the id that it had before."""
    sender = text(said["id"])
    if sender is None:
        return identity(Generic.kind, item, state, moment(sent, inbound.arrived))
    return identity(Generic.kind, sender, state or text(said["status"]), sent.isoformat() if sent and state else "")


def _items(body: bytes, config: Mapping[str, JsonValue], effort: Effort) -> list[Any]:
    document, path = json_of(body), config.get("items")
    if not isinstance(path, str):
        return [document]
    found = _values(document, path, "items", effort)
    return listed(found[0]) if len(found) == 1 and isinstance(found[0], list) else found


def _at(item: Any, path: object, place: str, effort: Effort) -> Any:
    if not isinstance(path, str) or not path.startswith("$"):
        return path if isinstance(path, str) else None
    found = _values(item, path, place, effort)
    return found[0] if found else None


def _values(document: Any, path: str, place: str, effort: Effort) -> list[Any]:
    try:
        return values(document, path, effort)
    except EffortError:
        raise UnreadableError("the connector's mapping looks at too much: name fewer paths, or send fewer items") from None
    except PathError:
        raise UnreadableError(f"the connector's mapping has a path at {place} that cannot be read") from None


def _translated(word: object, table: object) -> object:
    return mapping(table).get(text(word) or "", word)


def _state(status: object, config: Mapping[str, JsonValue]) -> str | None:
    word = text(_translated(status, config.get("statuses")))
    return STATES.get(word.lower()) if word else None


def _kind(said: object, config: Mapping[str, JsonValue]) -> SignalKind:
    word = text(_translated(said, config.get("kinds")))
    return SignalKind(word.lower()) if word and word.lower() in set(SignalKind) else SignalKind.EVENT


def _trace(said: object) -> str | None:
    """A trace id as W3C writes it; anything else is none."""
    word = (text(said) or "").lower()
    return word if len(word) == 32 and not set(word) - set("0123456789abcdef") else None
