"""The errors that senders tell of: equal ones are one incident, which counts every one of them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import SignalId, Value
from domain.connector import Connector
from domain.identity import Environment
from domain.signal import Signal, signature
from models.logs.errors import ErrorSignature, kinship
from models.logs.records import of_fields
from services.ledger import Ledger
from services.opening import Breakage, open_incident

_CODE = 128


class Told(Value):
    """An error of a service: what groups it with its like, and its code or type, if it has one."""

    signature: str
    code: str


def told_errors(
    connector: Connector, signals: Sequence[Signal], error_of: Callable[[Signal], Mapping[str, JsonValue] | None]
) -> dict[int, Told]:
    """The errors among these signals, by their numbers. It reads stack traces, so it is not for an event loop.

    Most errors of a delivery are alike, so each kind of them is read once.
    """
    known: dict[object, Told] = {}
    found: dict[int, Told] = {}
    for number, signal in enumerate(signals):
        if (fields := error_of(signal)) is not None:
            kind = signal.service, tuple(sorted((name, str(value)) for name, value in fields.items())), kinship(_said(signal))
            if kind not in known:
                known[kind] = _told(connector, signal, fields)
            found[number] = known[kind]
    return found


async def open_errors(
    session: AsyncSession,
    ledger: Ledger,
    connector: Connector,
    environment: Environment,
    service: str,
    told: Sequence[tuple[SignalId, Signal, Told]],
) -> None:
    """Each error opens an incident of the service, or joins the open one, with as many events as it was told of here."""
    alike: dict[str, list[tuple[SignalId, Signal, Told]]] = defaultdict(list)
    for each in told:
        alike[each[2].signature].append(each)
    for mark, events in sorted(alike.items()):
        first, signal, error = events[0]
        broken = Breakage(
            signature=mark,
            title=signal.headline,
            service=service,
            environment=environment,
            workflow=signal.workflow_id,
            events=len(events),
            known={"connector": connector.id.shown, "signal": first.shown, "error": error.code, "events": len(events)},
        )
        await open_incident(session, ledger, connector.org, broken, actor=Actor.sending(connector.id))


def _told(connector: Connector, signal: Signal, fields: Mapping[str, JsonValue]) -> Told:
    error = ErrorSignature.of(of_fields(fields, _said(signal)))
    mark = signature(
        org=connector.org,
        service=signal.service or connector.name,
        error_code=error.code or "error",
        workflow=connector.kind,
        subject=error.digest,
    )
    return Told(signature=mark, code=error.code[:_CODE])


def _said(signal: Signal) -> str:
    return signal.text or signal.key
