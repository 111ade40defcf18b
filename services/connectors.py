"""Connectors: who may send signals from outside; their secrets are sealed, shown once, and replaced with an overlap."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from uuid import UUID

from pydantic import Field, JsonValue, SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import ConnectorId, DeliveryId, OrgId, Value
from domain.connector import Connector, ConnectorConfig, ConnectorName, ConnectorStatus, Delivery, Endpoint
from domain.errors import ConflictError, InvalidError, NotFoundError, UnauthenticatedError, UnavailableError
from domain.feed import DatabaseAddress
from domain.identity import Caller
from domain.refs import FeedRef
from domain.signal import SignalKind
from services.keyring import OrgKeyring
from services.ledger import Ledger
from services.ports import Reach, Redactor, Sealer, Source
from storage import connectors as store
from storage import identity, outbox
from storage.engine import Database, new_id, new_ids, repeatable
from storage.outbox import Letter

OVERLAP = timedelta(hours=24)
"""How long the secret before the last still counts, so that a sender can be told the new one meanwhile."""
MOST = 200
"""How many an org has."""
_SOURCE_URL = "/config/source_url"
_PREFIX = "whsec_"
_LONGEST = 4_096


class NewConnector(Value):
    """`secret` is the sender's own, where it makes one; otherwise one is made here."""

    kind: str = Field(max_length=64)
    name: ConnectorName
    config: ConnectorConfig = ConnectorConfig()
    scopes: tuple[SignalKind, ...] = ()
    secret: SecretStr | None = None


class ConnectorPatch(Value):
    """Only what is set changes; `config` replaces the whole config."""

    name: ConnectorName | None = None
    config: ConnectorConfig | None = None
    scopes: tuple[SignalKind, ...] | None = None
    status: ConnectorStatus | None = None


class Issued(Value):
    """A connector and its secret, which nobody is shown again; a database's address is shown to nobody at all."""

    connector: Connector
    secret: SecretStr | None


class Followed(Value):
    """A connector and the address of its database, as they are until one of them changes."""

    connector: Connector
    secret: UUID
    url: SecretStr


class Connectors:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        keyring: OrgKeyring,
        sealer: Sealer,
        sources: Collection[Source],
        reach: Reach,
        credentials: Redactor,
    ) -> None:
        """Sources that belong to another's connectors take the same mapping. `credentials` finds what should be a secret."""
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._sealer = sealer
        self._kinds = {source.belongs_to or source.kind: source for source in sources}
        self._asked = {source.kind for source in sources if source.can_be_asked}
        self._fed = {source.kind for source in sources if source.is_fed}
        self._reach = reach
        self._credentials = credentials

    async def create(self, caller: Caller, wanted: NewConnector) -> Issued:
        """Raises ConflictError, InvalidError, NotFoundError: nothing is created."""
        self._check_secrets(wanted.name, wanted.config)
        self._check_config(wanted.kind, wanted.config)
        await self._check_reach(wanted.config)
        secret = await self._secret(wanted.kind, wanted.secret)
        key = await self._keyring.current(caller.org)

        async def work(session: AsyncSession) -> Connector:
            await _check(session, wanted.config)
            if await store.count(session) >= MOST:
                raise ConflictError(f"the org has {MOST} connectors, and no more: remove one that nobody uses")
            fresh = ConnectorId.of(await new_id(session))
            described = wanted.model_dump(include={"kind", "name", "scopes"})
            added = await store.add(session, Connector(id=fresh, org=caller.org, config=wanted.config, **described))
            await self._put_secret(session, caller.org, fresh, secret, key)
            await self._enter(session, caller, "connector.created", None, added)
            return added

        return self._issued(await self._database.retrying(caller.org, work), secret)

    async def check(self, caller: Caller, kind: str, config: ConnectorConfig) -> None:
        """Raises InvalidError, NotFoundError: a connector with this config could not be saved."""
        self._check_secrets("", config)
        self._check_config(kind, config)
        await self._check_reach(config)
        async with self._database.transaction(caller.org) as session:
            await _check(session, config)

    async def get(self, caller: Caller, connector: ConnectorId) -> Connector:
        """Raises NotFoundError: no such connector in the org."""
        async with self._database.transaction(caller.org) as session:
            return await store.get(session, connector)

    async def page(self, caller: Caller, *, after: ConnectorId | None, limit: int) -> list[Connector]:
        async with self._database.transaction(caller.org) as session:
            return await store.page(session, after=after, limit=limit)

    async def deliveries(
        self, caller: Caller, connector: ConnectorId, *, after: DeliveryId | None, limit: int
    ) -> list[Delivery]:
        """What it sent of late, the newest first."""
        async with self._database.transaction(caller.org) as session:
            await store.get(session, connector)
            return await store.deliveries(session, connector, after=after, limit=limit)

    @repeatable
    async def change(self, caller: Caller, connector: ConnectorId, patch: ConnectorPatch) -> Connector:
        """Raises ConflictError, InvalidError, NotFoundError: nothing changes."""
        if patch.config is not None:
            await self._check_reach(patch.config)
        async with self._database.transaction(caller.org) as session:
            before = await store.get(session, connector)
            set_ = {name: getattr(patch, name) for name in patch.model_fields_set if getattr(patch, name) is not None}
            wanted = before.model_copy(update=set_)
            self._check_secrets(wanted.name, wanted.config)
            if wanted.config != before.config:
                self._check_config(before.kind, wanted.config)
            if wanted == before:
                return before
            await _check(session, wanted.config)
            after = await store.change(session, wanted)
            await self._enter(session, caller, "connector.changed", before, after)
            return after

    @repeatable
    async def rotate(self, caller: Caller, connector: ConnectorId, own: SecretStr | None) -> Issued:
        """A fresh secret; the one before it counts for `OVERLAP` more.

        Raises:
            NotFoundError: no such connector in the org.
        """
        secret = await self._secret((await self.get(caller, connector)).kind, own)
        key = await self._keyring.current(caller.org)
        async with self._database.transaction(caller.org) as session:
            found = await store.get(session, connector)
            await self._put_secret(session, caller.org, connector, secret, key)
            await self._enter(session, caller, "connector.secret_rotated", None, found)
        return self._issued(found, secret)

    @repeatable
    async def remove(self, caller: Caller, connector: ConnectorId) -> None:
        """Raises NotFoundError: no such connector in the org."""
        async with self._database.transaction(caller.org) as session:
            before = await store.get(session, connector)
            await store.remove(session, connector)
            await self._enter(session, caller, "connector.removed", before, None)

    def _check_secrets(self, name: str, config: ConnectorConfig) -> None:
        """Nothing of a connector is sealed but its secret."""
        for place, said in (("name", name), ("config", config.model_dump(mode="json"))):
            if any(self._credentials.text(each) != each for each in _texts(said)):
                raise InvalidError("expected no credential here: only the connector's secret is sealed", pointer=f"/{place}")

    def _check_config(self, kind: str, config: ConnectorConfig) -> None:
        """Raises InvalidError: there is no such kind, or it takes no such config."""
        if kind not in self._kinds:
            raise InvalidError(f"expected one of the kinds {', '.join(sorted(self._kinds))}", pointer="/kind")
        if flaw := self._kinds[kind].flaw(config.mapping):
            raise InvalidError(flaw.reason, pointer=f"/config/mapping{flaw.pointer}")
        if (config.feed is not None) != (kind in self._fed):
            wanted = (
                "what is followed: its channels" if kind in self._fed else f"none: only {', '.join(sorted(self._fed))} has one"
            )
            raise InvalidError(f"expected {wanted}", pointer="/config/feed")
        if config.source_url is not None and kind not in self._asked:
            raise InvalidError(f"expected none: only {', '.join(sorted(self._asked))} can be asked", pointer=_SOURCE_URL)

    async def _check_reach(self, config: ConnectorConfig) -> None:
        """Raises InvalidError: nobody may be told to ask there."""
        if config.source_url is not None and (flaw := await self._reach.flaw(config.source_url)) is not None:
            raise InvalidError(flaw, pointer=_SOURCE_URL)

    async def _secret(self, kind: str, own: SecretStr | None) -> SecretStr:
        """Raises InvalidError: it cannot be one; of a database, it is no address, or none that may be reached."""
        if kind not in self._fed:
            return _secret(own)
        if own is None:
            raise InvalidError(
                "expected the address of the database: postgresql://user:password@host/database", pointer="/secret"
            )
        address = DatabaseAddress.of(_secret(own).get_secret_value())
        try:
            await self._reach.address(address.host, address.port)
        except UnavailableError as error:
            raise InvalidError(str(error), pointer="/secret") from error
        return own

    def _issued(self, connector: Connector, secret: SecretStr) -> Issued:
        return Issued(connector=connector, secret=None if connector.kind in self._fed else secret)

    async def followed(self, ref: FeedRef) -> Followed:
        """The connector as it is now, with the address of its database.

        Raises:
            NotFoundError: it is gone.
        """
        connector, secret = await self._as_stored(ref)
        return Followed(connector=connector, secret=secret.id, url=SecretStr(await self._opened(ref.org, secret)))

    async def is_as_followed(self, ref: FeedRef, known: Followed) -> bool:
        """Raises NotFoundError: it is gone."""
        connector, secret = await self._as_stored(ref)
        return (connector, secret.id) == (known.connector, known.secret)

    async def _as_stored(self, ref: FeedRef) -> tuple[Connector, store.SealedSecret]:
        async with self._database.transaction(ref.org) as session:
            return await store.get(session, ref.connector), (await store.secrets(session, ref.connector))[0]

    async def proved(self, address: Endpoint, *, kind: str, by: Callable[[str], bool]) -> Connector:
        """The connector at this address, once `by` finds that a request proves to know one of its secrets.

        Raises:
            NotFoundError: nothing of this kind has this address.
            UnauthenticatedError: the request proves nothing.
        """
        async with self._database.transaction(address.org) as session:
            connector = await store.get(session, address.connector)
            if connector.kind != kind:
                raise NotFoundError("nothing of this kind has this address")
            sealed = await store.secrets(session, connector.id)
        for secret in [await self._opened(connector.org, each) for each in sealed]:
            if await asyncio.to_thread(by, secret):
                return connector
        raise UnauthenticatedError("the sender does not prove that it knows the connector's secret")

    async def reseal(self, session: AsyncSession, org: OrgId, *, key_id: str, limit: int) -> int:
        """Move some secrets to the data key `key_id`; how many it were."""
        key, old = await self._keyring.get(org, key_id), await store.lock_secrets(session, not_under=key_id, limit=limit)
        for each in old:
            content = (await self._opened(org, each)).encode()
            sealed = self._sealer.seal(key, key_id, content, _place(org, each.connector))
            await store.reseal(session, each.model_copy(update={"key_id": key_id, "sealed": sealed}))
        return len(old)

    async def _put_secret(
        self, session: AsyncSession, org: OrgId, connector: ConnectorId, secret: SecretStr, under: tuple[str, bytes]
    ) -> None:
        key_id, key = under
        sealed = self._sealer.seal(key, key_id, secret.get_secret_value().encode(), _place(org, connector))
        (fresh,) = await new_ids(session, 1)
        fresh_secret = store.SealedSecret(id=fresh, connector=connector, key_id=key_id, sealed=sealed)
        await store.replace_secret(session, org, fresh_secret, overlap=OVERLAP)

    async def _opened(self, org: OrgId, secret: store.SealedSecret) -> str:
        key = await self._keyring.get(org, secret.key_id)
        return self._sealer.unseal(key, secret.sealed, _place(org, secret.connector)).decode()

    async def _enter(
        self, session: AsyncSession, caller: Caller, action: str, before: Connector | None, after: Connector | None
    ) -> None:
        """In the ledger; whoever follows its database is told to look again."""
        named = after or before
        if named is None:
            raise NotFoundError("no connector to write down")
        await self._ledger.append(
            session,
            caller.org,
            action,
            actor=Actor.calling(caller),
            resource_type="connector",
            resource_id=named.id.shown,
            before=before,
            after=after,
        )
        if named.kind in self._fed:
            await outbox.add(session, caller.org, Letter.WAKE_FEED, {"connector": named.id.shown})


async def _check(session: AsyncSession, config: ConnectorConfig) -> None:
    """An incident belongs to an environment, so what opens incidents names one that is there."""
    if config.environment is not None:
        if await identity.find_environment(session, config.environment) is None:
            known = ", ".join(each.name for each in await identity.environments(session))
            raise InvalidError(f"no environment is called so; there are {known}", pointer="/config/environment")
    elif config.opens_incidents:
        raise InvalidError("what opens incidents needs an environment for them", pointer="/config/environment")


def _secret(own: SecretStr | None) -> SecretStr:
    if own is None:
        return SecretStr(_PREFIX + secrets.token_urlsafe(32))
    if not 16 <= len(own.get_secret_value()) <= _LONGEST:
        raise InvalidError(f"expected a secret of 16 to {_LONGEST} characters", pointer="/secret")
    return own


def _place(org: OrgId, connector: ConnectorId) -> bytes:
    """Bound to the ciphertext, so that it opens in its own row only."""
    return f"{org.shown}|{connector.shown}".encode()


def _texts(said: JsonValue) -> Iterator[str]:
    """Every text at whatever depth, names included."""
    match said:
        case str():
            yield said
        case dict():
            yield from said
            for each in said.values():
                yield from _texts(each)
        case list():
            for each in said:
                yield from _texts(each)
