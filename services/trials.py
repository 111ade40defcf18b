"""Try a payload on a connector, saved or not: what it would become, or why it would not; nothing is stored."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import Field, JsonValue

from domain.base import ConnectorId, Value
from domain.connector import Connector, ConnectorConfig
from domain.errors import InvalidError
from domain.identity import Caller
from domain.inbound import Inbound, Refused
from domain.signal import Short, Signal
from services.connectors import Connectors
from services.delivery import read_delivery
from services.intake import Intake
from services.ports import Source

MOST_SHOWN = 100


class Sample(Value):
    """A request of the sender. A text is posted as it is, anything else as JSON.

    `source` is the door, for a kind that has several: `otlp_logs`, `alertmanager_api`; without it, the first of its kind.
    """

    payload: JsonValue
    headers: dict[Short, str] = Field(default_factory=dict, max_length=64)
    source: str | None = Field(default=None, max_length=64)


class TriedSignal(Value):
    """A signal as it would be stored, what is secret taken out."""

    signal: Signal
    opens_incident: bool


class Tried(Value):
    """What would come of a request; of the signals and the refusals the first `MOST_SHOWN`."""

    stored: int
    refused: int
    signals: tuple[TriedSignal, ...]
    reasons: tuple[Refused, ...]


class Trials:
    def __init__(self, connectors: Connectors, intake: Intake, sources: Mapping[str, Source]) -> None:
        self._connectors = connectors
        self._intake = intake
        self._sources = sources

    async def of_new(self, caller: Caller, kind: str, config: ConnectorConfig, sample: Sample) -> Tried:
        """On a connector that nobody has saved.

        Raises:
            InvalidError, NotFoundError: it could not be saved either.
        """
        await self._connectors.check(caller, kind, config)
        nameless = Connector(id=ConnectorId(int=0), org=caller.org, kind=kind, name=kind, config=config)
        return await self._try(nameless, sample)

    async def of_saved(self, caller: Caller, connector: ConnectorId, sample: Sample) -> Tried:
        """Raises NotFoundError: no such connector in the org."""
        return await self._try(await self._connectors.get(caller, connector), sample)

    async def _try(self, connector: Connector, sample: Sample) -> Tried:
        source = self._source(connector.kind, sample.source)
        read = await read_delivery(connector, source, _inbound(sample), self._intake)
        first = enumerate(read.signals[:MOST_SHOWN])
        return Tried(
            stored=len(read.signals),
            refused=len(read.refused),
            signals=tuple(TriedSignal(signal=signal, opens_incident=read.opens(number)) for number, signal in first),
            reasons=read.refused[:MOST_SHOWN],
        )

    def _source(self, kind: str, named: str | None) -> Source:
        doors = {each.kind: each for each in self._sources.values() if kind in (each.kind, each.belongs_to)}
        if named is not None and named not in doors:
            raise InvalidError(f"expected one of {', '.join(doors)}", pointer="/source")
        return doors[named] if named is not None else next(iter(doors.values()))


def _inbound(sample: Sample) -> Inbound:
    body = sample.payload if isinstance(sample.payload, str) else json.dumps(sample.payload, ensure_ascii=False)
    headers = {"content-type": "application/json"} | {name.lower(): value for name, value in sample.headers.items()}
    return Inbound(arrived=datetime.now(UTC), headers=headers, body=body.encode())
