"""Connectors: who may send signals from outside, where to, and what came of it."""

from collections.abc import Mapping
from typing import ClassVar

from fastapi import APIRouter, Response
from pydantic import Field, JsonValue, SecretStr

from api.deps import Caller, KeyedRoute, Page, PagingOf, Services, Shown, ShownOnceRoute, StrictRoute, guarded
from domain.base import ConnectorId, DeliveryId, Instant, Value
from domain.connector import ConnectorConfig, ConnectorStatus, Delivery
from domain.errors import ConflictError, NotFoundError
from domain.inbound import Refused
from domain.signal import SignalKind
from services.connectors import ConnectorPatch, Issued, NewConnector
from services.trials import Sample, Tried

router = APIRouter(prefix="/connectors", tags=["connectors"], route_class=KeyedRoute)
shown_once = APIRouter(prefix="/connectors", tags=["connectors"], route_class=ShownOnceRoute)

trials = APIRouter(prefix="/connectors", tags=["connectors"], route_class=StrictRoute)


class ConnectorOut(Shown):
    """`endpoint` is the last part of the address that the sender is given, behind `/api/v1/ingest/{kind}/`."""

    id: ConnectorId
    kind: str
    name: str
    config: ConnectorConfig
    scopes: tuple[SignalKind, ...]
    status: ConnectorStatus
    endpoint: str
    created_at: Instant | None
    updated_at: Instant | None


class IssuedOut(Value):
    """`secret` is shown here and never again; the address of a database is not shown even here."""

    connector: ConnectorOut
    secret: str | None


class SecretIn(Value):
    """The sender's own secret; without one it is made here."""

    secret: SecretStr | None = None


class TrialIn(Sample):
    """A connector as it would be saved, and a request of its sender."""

    kind: str = Field(max_length=64)
    config: ConnectorConfig = ConnectorConfig()


class TriedSignalOut(Shown):
    """`identity` is what a repeated delivery is known by, `key` what the signal is about."""

    names: ClassVar[Mapping[str, str]] = {"occurred_at": "ts", "identity": "idempotency_key"}
    kind: SignalKind
    event_type: str | None
    key: str
    identity: str | None
    severity: str | None
    service: str | None
    environment: str | None
    text: str | None
    value: float | None
    occurred_at: Instant
    trace_id: str | None
    correlation_id: str | None
    labels: dict[str, str]
    payload: dict[str, JsonValue]


class TriedItem(Value):
    signal: TriedSignalOut
    opens_incident: bool


class TriedOut(Value):
    """What would be stored and refused, in numbers and, of the first hundred, one by one."""

    stored: int
    refused: int
    signals: tuple[TriedItem, ...]
    reasons: tuple[Refused, ...]


@router.get("", **guarded("connector.read"))
async def find(caller: Caller, services: Services, paging: PagingOf) -> Page[ConnectorOut]:
    found = await services.connectors.page(caller, after=paging.after(ConnectorId), limit=paging.ask)
    return paging.page([ConnectorOut.of(each) for each in found], lambda each: (each.id.shown,))


@shown_once.post("", status_code=201, **guarded("connector.write", ConflictError, NotFoundError))
async def create(body: NewConnector, response: Response, caller: Caller, services: Services) -> IssuedOut:
    issued = await services.connectors.create(caller, body)
    response.headers["Location"] = f"/api/v1/connectors/{issued.connector.id.shown}"
    return _shown(issued)


@router.get("/{connector_id}", **guarded("connector.read", NotFoundError))
async def get(connector_id: ConnectorId, caller: Caller, services: Services) -> ConnectorOut:
    return ConnectorOut.of(await services.connectors.get(caller, connector_id))


@router.patch("/{connector_id}", **guarded("connector.write", ConflictError, NotFoundError))
async def change(connector_id: ConnectorId, body: ConnectorPatch, caller: Caller, services: Services) -> ConnectorOut:
    return ConnectorOut.of(await services.connectors.change(caller, connector_id, body))


@router.delete("/{connector_id}", status_code=204, **guarded("connector.write", NotFoundError))
async def remove(connector_id: ConnectorId, caller: Caller, services: Services) -> None:
    """With its secret and its delivery log; the signals that it sent stay."""
    await services.connectors.remove(caller, connector_id)


@shown_once.post("/{connector_id}/secret", **guarded("connector.write", NotFoundError))
async def rotate(connector_id: ConnectorId, body: SecretIn, caller: Caller, services: Services) -> IssuedOut:
    """A fresh secret; the one before it still counts for a day."""
    return _shown(await services.connectors.rotate(caller, connector_id, body.secret))


@router.get("/{connector_id}/deliveries", **guarded("connector.read", NotFoundError))
async def deliveries(connector_id: ConnectorId, caller: Caller, services: Services, paging: PagingOf) -> Page[Delivery]:
    """The last requests of the sender, the newest first."""
    found = await services.connectors.deliveries(caller, connector_id, after=paging.after(DeliveryId), limit=paging.ask)
    return paging.page(found, lambda each: (each.id.shown,))


def _shown(issued: Issued) -> IssuedOut:
    return IssuedOut(connector=ConnectorOut.of(issued.connector), secret=issued.secret and issued.secret.get_secret_value())


@trials.post("/test", **guarded("connector.write", NotFoundError))
async def try_new(body: TrialIn, caller: Caller, services: Services) -> TriedOut:
    """What a connector that is not saved yet would make of this payload. Nothing is stored."""
    return _tried(await services.trials.of_new(caller, body.kind, body.config, body))


@trials.post("/{connector_id}/test", **guarded("connector.write", NotFoundError))
async def try_saved(connector_id: ConnectorId, body: Sample, caller: Caller, services: Services) -> TriedOut:
    """What this connector would make of this payload. Nothing is stored."""
    return _tried(await services.trials.of_saved(caller, connector_id, body))


def _tried(tried: Tried) -> TriedOut:
    items = (TriedItem(signal=TriedSignalOut.of(each.signal), opens_incident=each.opens_incident) for each in tried.signals)
    return TriedOut(stored=tried.stored, refused=tried.refused, signals=tuple(items), reasons=tried.reasons)
