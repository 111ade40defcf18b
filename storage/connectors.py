"""Connectors, their sealed secrets and the log of their deliveries, as rows."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, Text, delete, func, or_, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import ConnectorId, DeliveryId, OrgId, Value
from domain.connector import Connector, ConnectorConfig, ConnectorStatus, Delivery, DeliveryStatus
from domain.errors import ConflictError, NotFoundError
from domain.signal import SignalKind
from storage.engine import document, moment

KEPT_DELIVERIES = 1_000
"""Of each connector; older ones make room."""

_HOLD = text("select pg_advisory_xact_lock(hashtextextended(suture.org()::text || '/connectors', 7))")


class ConnectorRow(SQLModel, table=True):
    __tablename__ = "connectors"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    kind: str
    name: str
    config: dict[str, Any] = Field(default_factory=dict, sa_column=document())
    scopes: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    status: str
    created_at: datetime | None = Field(default=None, sa_column=moment())
    updated_at: datetime | None = Field(default=None, sa_column=moment())


class ConnectorSecretRow(SQLModel, table=True):
    __tablename__ = "connector_secrets"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    connector_id: UUID
    key_id: str
    sealed: bytes
    created_at: datetime | None = Field(default=None, sa_column=moment())
    expires_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class DeliveryRow(SQLModel, table=True):
    __tablename__ = "connector_deliveries"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    connector_id: UUID
    received_at: datetime | None = Field(default=None, sa_column=moment())
    status: str
    stored: int
    duplicates: int
    refused: int
    size: int
    reason: str | None = None


class SealedSecret(Value):
    """One secret of a connector, sealed under the data key `key_id`."""

    id: UUID
    connector: ConnectorId
    key_id: str
    sealed: bytes


class DeliveryCounts(Value):
    status: DeliveryStatus
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    size: int
    reason: str | None = None


async def add(session: AsyncSession, connector: Connector) -> Connector:
    """Raises ConflictError: the name is taken."""
    values = _values(connector) | {"org_id": connector.org, "id": connector.id, "kind": connector.kind}
    row = await session.scalar(insert(ConnectorRow).values(values).on_conflict_do_nothing().returning(ConnectorRow))
    if row is None:
        raise ConflictError("a connector of this name exists already")
    return _to_value(row)


async def get(session: AsyncSession, connector: ConnectorId) -> Connector:
    """Raises NotFoundError: no such connector in the caller's org."""
    row = await session.scalar(select(ConnectorRow).where(ConnectorRow.id == connector))
    if row is None:
        raise NotFoundError(f"no connector {connector.shown}")
    return _to_value(row)


async def hold(session: AsyncSession, connector: ConnectorId) -> None:
    """Nobody removes it until the transaction ends.

    Raises:
        NotFoundError: somebody has.
    """
    row = await session.scalar(
        select(ConnectorRow.id).where(ConnectorRow.id == connector).with_for_update(read=True, key_share=True)
    )
    if row is None:
        raise NotFoundError(f"no connector {connector.shown}")


async def count(session: AsyncSession) -> int:
    """How many the org has; nobody adds one until the transaction ends."""
    await session.execute(_HOLD)
    return await session.scalar(select(func.count()).select_from(ConnectorRow)) or 0


async def page(session: AsyncSession, *, after: ConnectorId | None, limit: int) -> list[Connector]:
    """Connectors, the newest first."""
    statement = select(ConnectorRow).order_by(col(ConnectorRow.id).desc()).limit(limit)
    if after is not None:
        statement = statement.where(col(ConnectorRow.id) < after)
    return [_to_value(row) for row in await session.scalars(statement)]


async def change(session: AsyncSession, connector: Connector) -> Connector:
    """Raises ConflictError: the name is taken."""
    taken = select(ConnectorRow.id).where(ConnectorRow.name == connector.name, ConnectorRow.id != connector.id)
    if await session.scalar(taken) is not None:
        raise ConflictError("a connector of this name exists already")
    statement = update(ConnectorRow).where(col(ConnectorRow.id) == connector.id)
    changed = statement.values(_values(connector) | {"updated_at": func.suture.now()}).returning(ConnectorRow)
    row = (await session.scalars(changed, execution_options={"populate_existing": True})).one()
    return _to_value(row)


async def remove(session: AsyncSession, connector: ConnectorId) -> None:
    """With its secrets and its log."""
    await session.execute(delete(ConnectorRow).where(col(ConnectorRow.id) == connector))


async def secrets(session: AsyncSession, connector: ConnectorId) -> list[SealedSecret]:
    """Those that count now, the newest first."""
    lives = or_(col(ConnectorSecretRow.expires_at).is_(None), col(ConnectorSecretRow.expires_at) > func.suture.now())
    wanted = select(ConnectorSecretRow).where(ConnectorSecretRow.connector_id == connector, lives)
    rows = await session.scalars(wanted.order_by(col(ConnectorSecretRow.id).desc()).limit(2))
    return [_to_secret(row) for row in rows]


async def replace_secret(session: AsyncSession, org: OrgId, fresh: SealedSecret, *, overlap: timedelta) -> None:
    """The fresh secret counts at once; the one before it for `overlap` more, and older ones no longer."""
    of_it = col(ConnectorSecretRow.connector_id) == fresh.connector
    await session.execute(delete(ConnectorSecretRow).where(of_it, col(ConnectorSecretRow.expires_at).is_not(None)))
    await session.execute(update(ConnectorSecretRow).where(of_it).values(expires_at=func.suture.now() + overlap))
    values = {"org_id": org, "id": fresh.id, "connector_id": fresh.connector, "key_id": fresh.key_id, "sealed": fresh.sealed}
    await session.execute(insert(ConnectorSecretRow).values(values))


async def lock_secrets(session: AsyncSession, *, not_under: str, limit: int) -> list[SealedSecret]:
    """Secrets that are sealed under another key than this one, locked."""
    wanted = select(ConnectorSecretRow).where(ConnectorSecretRow.key_id != not_under)
    rows = await session.scalars(wanted.order_by(col(ConnectorSecretRow.id)).limit(limit).with_for_update())
    return [_to_secret(row) for row in rows]


async def reseal(session: AsyncSession, secret: SealedSecret) -> None:
    statement = update(ConnectorSecretRow).where(col(ConnectorSecretRow.id) == secret.id)
    await session.execute(statement.values(key_id=secret.key_id, sealed=secret.sealed))


async def log(session: AsyncSession, org: OrgId, connector: ConnectorId, counts: DeliveryCounts) -> None:
    """Add a delivery; the oldest beyond `KEPT_DELIVERIES` is removed."""
    values = counts.model_dump() | {"org_id": org, "connector_id": connector, "status": str(counts.status)}
    await session.execute(insert(DeliveryRow).values(values | {"id": func.uuidv7()}))
    of_it = col(DeliveryRow.connector_id) == connector
    oldest = select(DeliveryRow.id).where(of_it).order_by(col(DeliveryRow.id).desc()).offset(KEPT_DELIVERIES).limit(100)
    await session.execute(delete(DeliveryRow).where(col(DeliveryRow.id).in_(oldest.scalar_subquery())))


async def log_refusal(session: AsyncSession, org: OrgId, connector: ConnectorId, reason: str, *, refused: int = 0) -> None:
    """Add a delivery that was refused, once for as long as nothing else happens."""
    of_it = (col(DeliveryRow.org_id) == org) & (col(DeliveryRow.connector_id) == connector)
    last = select(DeliveryRow.reason).where(of_it).order_by(col(DeliveryRow.id).desc()).limit(1)
    if await session.scalar(last) != reason:
        counts = DeliveryCounts(status=DeliveryStatus.REFUSED, size=0, refused=refused, reason=reason)
        await log(session, org, connector, counts)


async def deliveries(session: AsyncSession, connector: ConnectorId, *, after: DeliveryId | None, limit: int) -> list[Delivery]:
    """The connector's deliveries, the newest first."""
    statement = select(DeliveryRow).where(DeliveryRow.connector_id == connector)
    if after is not None:
        statement = statement.where(col(DeliveryRow.id) < after)
    rows = await session.scalars(statement.order_by(col(DeliveryRow.id).desc()).limit(limit))
    return [
        Delivery.model_validate(
            row.model_dump(exclude={"org_id", "connector_id", "id"})
            | {"id": DeliveryId.of(row.id), "connector": ConnectorId.of(row.connector_id)}
        )
        for row in rows
    ]


def _values(connector: Connector) -> dict[str, Any]:
    return {
        "name": connector.name,
        "config": connector.config.model_dump(mode="json"),
        "scopes": [str(each) for each in connector.scopes],
        "status": str(connector.status),
    }


def _to_value(row: ConnectorRow) -> Connector:
    return Connector(
        id=ConnectorId.of(row.id),
        org=OrgId.of(row.org_id),
        kind=row.kind,
        name=row.name,
        config=ConnectorConfig.model_validate(row.config),
        scopes=tuple(SignalKind(each) for each in row.scopes),
        status=ConnectorStatus(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _to_secret(row: ConnectorSecretRow) -> SealedSecret:
    return SealedSecret(id=row.id, connector=ConnectorId.of(row.connector_id), key_id=row.key_id, sealed=row.sealed)
