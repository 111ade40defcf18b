"""PostgreSQL and Supabase: rows that have changed, as a trigger tells of them, and whatever else is notified."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from adapters.sources.answering import Answering
from adapters.sources.fitting import Observation, identity
from adapters.sources.generic import Generic
from adapters.sources.mapping import STATES, flaw_of
from adapters.sources.progress import Progress, progress
from adapters.sources.reading import MOST, UnreadableError, first, json_of, mapping, read_each, text
from adapters.sources.times import instant
from adapters.sources.words import environment_of, service_of, severity
from domain.inbound import Inbound, MappingFlaw, Parsed, Refused
from domain.signal import Signal, SignalKind

_STATE = {Progress.FAILED: "firing", Progress.SUCCEEDED: "resolved"}


@dataclass(frozen=True)
class _Notice:
    """A notification, and what it is known by."""

    channel: str
    payload: str
    identity: str


class Postgres(Answering):
    """Without a mapping a row's `status` or `state` says whether it has failed, and its `id` which row it is.

    A request is a list of notices, each with `channel`, `payload` and `is_known_by_row`; anything else is one payload. With a
    mapping each payload is read as a generic connector reads a body.
    """

    kind = "postgres"
    is_fed = True

    def __init__(self) -> None:
        self._generic = Generic()

    def flaw(self, mapping: Mapping[str, JsonValue]) -> MappingFlaw | None:
        return flaw_of(mapping)

    def is_authentic(self, inbound: Inbound, secret: str) -> bool:
        """Nobody is: what it tells is read where it is."""
        return False

    def parse(self, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        signals: list[Signal] = []
        refused: list[Refused] = []
        try:
            notices = _notices(inbound)
        except UnreadableError as error:
            return Parsed(refused=(Refused(index=0, reason=str(error)),))
        for index, notice in enumerate(notices):
            read = self._read(notice, inbound, config)
            signals += read.signals
            refused += [each.model_copy(update={"index": index}) for each in read.refused]
        return Parsed(signals=tuple(signals[:MOST]), refused=tuple(refused[:MOST]))

    def _read(self, notice: _Notice, inbound: Inbound, config: Mapping[str, JsonValue]) -> Parsed:
        if not config:
            return read_each(lambda: [notice], lambda one: _signal(one, inbound))
        parsed = self._generic.parse(inbound.model_copy(update={"body": notice.payload.encode()}), config)
        signals = (_own(signal, notice, number) for number, signal in enumerate(parsed.signals))
        return parsed.model_copy(update={"signals": tuple(signals)})


def _notices(inbound: Inbound) -> list[_Notice]:
    document = json_of(inbound.body)
    if not isinstance(document, list) or not all(_is_notice(each) for each in document):
        return [_Notice(channel="", payload=inbound.body.decode("utf-8-sig"), identity=identity(document))]
    return [_notice(mapping(each), index, inbound) for index, each in enumerate(document[:MOST])]


def _is_notice(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("payload"), str) and isinstance(value.get("channel"), str)


def _notice(said: Mapping[str, Any], index: int, inbound: Inbound) -> _Notice:
    """What is notified is notified once, so only a row that may be read, too, has to be known again."""
    channel, payload = said["channel"], said["payload"]
    change = _change(payload) if said.get("is_known_by_row") else None
    if change is not None:
        known = identity(Postgres.kind, change.get("schema"), change.get("table"), change.get("record"))
    else:
        known = identity(Postgres.kind, channel, payload, inbound.arrived.isoformat(), index)
    return _Notice(channel=channel, payload=payload, identity=known)


def _own(signal: Signal, notice: _Notice, number: int) -> Signal:
    known = identity(notice.identity, number) if number else notice.identity
    return signal.model_copy(update={"source": Postgres.kind, "idempotency_key": known})


def _signal(notice: _Notice, inbound: Inbound) -> Signal:
    change = _change(notice.payload)
    if change is None:
        return _said(notice, inbound)
    row = mapping(change.get("record")) or mapping(change.get("old_record"))
    if not row:
        raise UnreadableError("the notification does not hold the row")
    table = f"{text(change.get('schema')) or 'public'}.{change['table']}"
    kind, status, which = change["type"].lower(), first(row.get("status"), row.get("state")), first(row.get("id"))
    state = None if kind == "delete" else _state(status)
    about = f"{table}/{which}" if which else table
    told = first(row.get("message"), row.get("error_message"), row.get("error"), row.get("text"), row.get("description"))
    return Observation(
        source=Postgres.kind,
        kind=SignalKind.EVENT,
        ts=instant(change.get("commit_timestamp")) or inbound.arrived,
        identity=notice.identity,
        key=about,
        event_type=f"row.{state or kind}",
        severity=severity(first(row.get("severity"), row.get("level"))) or ("error" if state == "firing" else "info"),
        text=": ".join(each for each in (f"{about} is {status}" if status else f"{about}: {kind}", told) if each),
        service=service_of(row),
        environment=environment_of(row),
        labels={"table": table, "operation": kind, "channel": notice.channel},
        payload={name: change.get(name) for name in ("schema", "table", "type", "record", "old_record")},
    ).signal()


def _said(notice: _Notice, inbound: Inbound) -> Signal:
    """What is no change of a row: its text is what it says."""
    if not notice.payload.strip():
        raise UnreadableError("the notification is empty")
    return Observation(
        source=Postgres.kind,
        kind=SignalKind.EVENT,
        ts=inbound.arrived,
        identity=notice.identity,
        key=notice.channel,
        event_type="notification",
        severity="info",
        text=notice.payload,
        labels={"channel": notice.channel},
    ).signal()


def _change(payload: str) -> dict[str, Any] | None:
    """What a trigger tells, if it is one who speaks."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("table"), str) or not isinstance(said.get("type"), str):
        return None
    return said if said["type"].lower() in {"insert", "update", "delete"} else None


def _state(status: str | None) -> str | None:
    return (STATES.get(status.lower()) or _STATE.get(progress(status))) if status else None
