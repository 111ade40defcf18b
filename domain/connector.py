"""A connector: one sender of signals outside, what it may send, and the endpoint it sends to."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, JsonValue, StringConstraints

from domain.base import ConnectorId, DeliveryId, Instant, Name, OrgId, Value
from domain.feed import Feed
from domain.signal import SignalKind

ENDPOINT = "in_"
_LENGTH = 26
ConnectorName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ConnectorStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"


class ConnectorConfig(Value):
    """What the sender does not say itself, and what becomes of what it says.

    `environment` and `service` stand in for those that a signal does not name. `opens_incidents`: whatever fires or fails opens
    an incident, and what is over closes its own again. `mapping` is for kinds without a form of their own.
    `source_url` is where the sender itself is asked for what it has left out: an Alertmanager whose webhooks are limited.
    `feed` is what of a database is followed.
    """

    environment: Name | None = None
    service: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    opens_incidents: bool = False
    mapping: dict[str, JsonValue] = Field(default_factory=dict)
    source_url: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    feed: Feed | None = None


class Connector(Value):
    id: ConnectorId
    org: OrgId
    kind: str
    name: ConnectorName
    config: ConnectorConfig
    scopes: tuple[SignalKind, ...] = ()
    """What kinds of signals it may send; without any, all."""

    status: ConnectorStatus = ConnectorStatus.ACTIVE
    created_at: Instant | None = None
    updated_at: Instant | None = None

    @property
    def endpoint(self) -> str:
        return Endpoint(org=self.org, connector=self.id).shown


class Endpoint(Value):
    """The address of one connector. It names its org, which counts only once the connector's secret is proved."""

    org: OrgId
    connector: ConnectorId

    @property
    def shown(self) -> str:
        return f"{ENDPOINT}{self.org.shown.removeprefix('org_')}{self.connector.shown.removeprefix('con_')}"

    @classmethod
    def of(cls, shown: str) -> Self:
        """Raises ValueError: nothing has this address."""
        if not shown.startswith(ENDPOINT) or len(shown) != len(ENDPOINT) + 2 * _LENGTH:
            raise ValueError("expected an endpoint")
        body = shown.removeprefix(ENDPOINT)
        return cls(org=OrgId.of(f"org_{body[:_LENGTH]}"), connector=ConnectorId.of(f"con_{body[_LENGTH:]}"))


class DeliveryStatus(StrEnum):
    TAKEN = "taken"
    PARTLY = "partly"
    REFUSED = "refused"


class Delivery(Value):
    """One request of a connector: what came of it, never what it held."""

    id: DeliveryId
    connector: ConnectorId
    received_at: Instant
    status: DeliveryStatus
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    size: int
    reason: str | None = None
