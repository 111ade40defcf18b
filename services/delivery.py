"""What one request of a sender holds: read, within what its connector may send, and with the stories that it tells."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.connector import Connector
from domain.inbound import Inbound, Parsed, Refused
from domain.signal import Signal
from services.failing import Told, told_errors
from services.intake import Intake
from services.lots import Lot
from services.ports import Source

FIRING, RESOLVED = ".firing", ".resolved"
MOST = 10_000
MOST_SERVICES, MOST_STORIES = 500, 200
"""How many services a request may name, and of how many incidents it may tell: each of these holds a lock and writes rows of
its own, and all of them have to fit into the time that a sender waits."""
_KEY = 255


@dataclass(frozen=True)
class Delivery:
    """`lot` is what is stored, `signals` what stands in it for each; by their numbers the alerts and the errors among them.

    An alert says that something fires or is over. Without incidents to open there are neither. `left_out` is how many more
    items the sender has than it sent.
    """

    lot: Lot
    signals: Sequence[Signal]
    refused: tuple[Refused, ...]
    left_out: int = 0
    alerts: frozenset[int] = frozenset()
    errors: Mapping[int, Told] = field(default_factory=dict)

    def opens(self, number: int) -> bool:
        """Whether this signal opens an incident, or joins one."""
        return number in self.errors or (number in self.alerts and fires(self.signals[number]))


async def read_delivery(connector: Connector, source: Source, inbound: Inbound, intake: Intake) -> Delivery:
    """The request as this connector sends it; what it may not send, and what is too much, is refused."""
    parsed = _allowed(connector, await asyncio.to_thread(source.parse, inbound, connector.config.mapping))
    lot = await intake.ready(connector.org, [_completed(connector, each) for each in parsed.signals])
    signals = lot.items
    read = Delivery(lot=lot, signals=signals, refused=parsed.refused, left_out=parsed.left_out)
    if not connector.config.opens_incidents:
        return _uncrowded(connector, read)
    alerts = frozenset(number for number, signal in enumerate(signals) if _is_alert(signal))
    errors = await asyncio.to_thread(told_errors, connector, signals, source.error_of)
    own = {number: error for number, error in errors.items() if number not in alerts}
    return _uncrowded(connector, replace(read, alerts=alerts, errors=own))


def fires(signal: Signal) -> bool:
    return (signal.event_type or "").endswith(FIRING)


def within(key: str) -> str:
    """The key, or its digest where a key may not be as long."""
    return key if len(key) <= _KEY else hashlib.sha256(key.encode()).hexdigest()


def _is_alert(signal: Signal) -> bool:
    return (signal.event_type or "").endswith((FIRING, RESOLVED))


def _allowed(connector: Connector, parsed: Parsed) -> Parsed:
    """At most `MOST` items of the kinds that the connector may send."""
    allowed = [each for each in parsed.signals if not connector.scopes or each.kind in connector.scopes]
    foreign = f"the connector may send nothing but {', '.join(connector.scopes)}"
    many = f"expected at most {MOST} items, got {len(allowed)}: send fewer at once"
    refused = (*_refusals(many, len(allowed) - MOST), *_refusals(foreign, len(parsed.signals) - len(allowed)))
    update = {"signals": tuple(allowed[:MOST]), "refused": (*refused, *parsed.refused)}
    return parsed.model_copy(update=update)


def _completed(connector: Connector, signal: Signal) -> Signal:
    """With what the connector adds, and a key of its own: two connectors may tell of the same thing."""
    own = signal.idempotency_key and within(f"{connector.id}/{signal.idempotency_key}")
    return signal.model_copy(
        update={
            "idempotency_key": own,
            "service": signal.service or connector.config.service,
            "environment": signal.environment or connector.config.environment,
        }
    )


def _uncrowded(connector: Connector, read: Delivery) -> Delivery:
    """Signals of the first `MOST_SERVICES` services that tell of the first `MOST_STORIES` incidents."""
    services: set[object] = set()
    stories: set[object] = set()
    kept: list[int] = []
    for number, signal in enumerate(read.signals):
        service = signal.environment, signal.service or connector.name
        story = _story(read, number)
        has_room = service in services or len(services) < MOST_SERVICES
        if has_room and (story is None or (service, story) in stories or len(stories) < MOST_STORIES):
            kept.append(number)
            services.add(service)
            stories |= {(service, story)} if story else set()
    if len(kept) == len(read.signals):
        return read
    reason = f"one request may tell of at most {MOST_SERVICES} services and {MOST_STORIES} incidents: send the rest in another"
    return replace(
        read,
        lot=read.lot.only(kept),
        signals=[read.signals[number] for number in kept],
        refused=(*_refusals(reason, len(read.signals) - len(kept)), *read.refused),
        alerts=frozenset(place for place, number in enumerate(kept) if number in read.alerts),
        errors={place: read.errors[number] for place, number in enumerate(kept) if number in read.errors},
    )


def _story(read: Delivery, number: int) -> str | None:
    """What tells the incident of this signal from others of its service, if it has one."""
    if number in read.alerts:
        return f"alert {read.signals[number].key}"
    return read.errors[number].signature if number in read.errors else None


def _refusals(reason: str, number: int) -> tuple[Refused, ...]:
    return tuple(Refused(index=MOST, reason=reason) for _ in range(number))
