"""Makes signals of what senders say: cut to the limits of a signal, cleaned of what no store keeps, known by identity."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from adapters.sources.reading import DEEPEST
from adapters.sources.words import environment_of, service_of
from domain.base import Instant
from domain.inbound import Parsed
from domain.signal import Signal, SignalKind

TRUNCATED = "truncated"
_TEXT, _SHORT, _LABELS = 65_536, 255, 64
_SAFE = 2**53
_SORTED = json.JSONEncoder(sort_keys=True, check_circular=False)
_READABLE = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What a sender says of one thing, of any length.

    Service and environment are found among the labels where they are not named.
    """

    source: str
    kind: SignalKind
    ts: Instant
    identity: str
    key: str | None = None
    event_type: str | None = None
    severity: str | None = None
    value: float | None = None
    text: str | None = None
    service: str | None = None
    environment: str | None = None
    trace_id: str | None = None
    correlation_id: str | None = None
    labels: Mapping[str, object] = field(default_factory=dict)
    payload: Mapping[str, object] = field(default_factory=dict)

    def signal(self) -> Signal:
        """The signal within its limits; its label `truncated` names what was cut: `labels`, `values`, `text`."""
        return Signal(
            source=self.source,
            kind=self.kind,
            ts=self.ts,
            idempotency_key=self.identity,
            key=_short(self.key) or "",
            event_type=_short(self.event_type),
            severity=self.severity,
            value=self.value,
            text=clean(self.text[:_TEXT]) if self.text else None,
            service=_short(self.service or service_of(self.labels)),
            environment=_short(self.environment or environment_of(self.labels)),
            trace_id=self.trace_id,
            correlation_id=_short(self.correlation_id),
            labels=_labels(self.labels, is_text_cut=len(self.text or "") > _TEXT),
            payload=_object(self.payload, DEEPEST),
        )


def identity(*parts: object) -> str:
    """The digest by which these parts are known again; the order of keys in them counts for nothing."""
    return hashlib.sha256(_SORTED.encode(parts).encode()).hexdigest()


def moment(sent: Instant | None, arrived: Instant) -> str:
    """When it was, as a part of an identity: by the sender's clock, or the minute of arrival if the sender has none.

    So a delivery that is repeated at once is known again, and the same trouble of the next day is not taken for it.
    """
    return sent.isoformat() if sent else f"~{arrived.isoformat(timespec='minutes')}"


def distinct(parsed: Parsed) -> Parsed:
    """Of items that are equal the second, third … gets an identity of its own: one request repeats nothing by mistake."""
    seen: Counter[str | None] = Counter()
    signals = []
    for signal in parsed.signals:
        seen[signal.idempotency_key] += 1
        nth = seen[signal.idempotency_key]
        again = {"idempotency_key": identity(signal.idempotency_key, nth)}
        signals.append(signal if nth == 1 else signal.model_copy(update=again))
    return parsed.model_copy(update={"signals": tuple(signals)})


def clean(text: str) -> str:
    """The text without what no store keeps: NUL and halves of characters."""
    return text if _is_clean(text) else _UNSTORABLE.sub("\ufffd", text)


def shown(value: object) -> str:
    """Any JSON value as text."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
    return _READABLE.encode(value)


def _is_clean(text: str) -> bool:
    """Whether it surely is: text beyond ASCII needs a closer look."""
    return text.isascii() and "\x00" not in text


def _short(text: str | None) -> str | None:
    return clean(text[:_SHORT]) if text else None


def _labels(labels: Mapping[str, object], *, is_text_cut: bool) -> dict[str, str]:
    said = {name: value if isinstance(value, str) else shown(value) for name, value in labels.items() if _is_label(name, value)}
    longest = max(map(len, (*said, *said.values())), default=0)
    if len(said) <= _LABELS and longest <= _SHORT and not is_text_cut:
        return said if _is_clean("".join((*said, *said.values()))) else {clean(n): clean(value) for n, value in said.items()}
    cuts = {"labels": len(said) >= _LABELS, "values": longest > _SHORT, "text": is_text_cut}
    kept = {clean(name[:_SHORT]): clean(said[name][:_SHORT]) for name in sorted(said)[: _LABELS - 1]}
    return kept | {TRUNCATED: ", ".join(name for name, is_cut in cuts.items() if is_cut)}


def _is_label(name: str, value: object) -> bool:
    return bool(name) and value is not None and value != ""


def _object(content: Mapping[str, object], deepest: int) -> dict[str, JsonValue]:
    return {clean(name[:_SHORT]): _plain(value, deepest - 1) for name, value in content.items() if value is not None}


def _plain(value: Any, deepest: int) -> JsonValue:
    """The value as a store can keep it: what lies too deep is left out, a number that JSON cannot hold becomes text."""
    match value:
        case str():
            return clean(value[:_TEXT])
        case bool() | None:
            return value
        case int():
            return value if -_SAFE < value < _SAFE else str(value)
        case float():
            return value if math.isfinite(value) else None
        case dict() if deepest > 0:
            return _object(value, deepest)
        case list() if deepest > 0:
            return [_plain(each, deepest - 1) for each in value]
    return None
