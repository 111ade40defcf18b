"""An org's secrets: sealed columns that people write and only runners read."""

from collections.abc import Iterable

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import OrgId
from domain.errors import ForbiddenError, InvalidError
from domain.identity import Caller, Role
from services.connectors import Connectors
from services.keyring import OrgKeyring
from services.ledger import Ledger
from services.ports import Sealer
from storage import identity
from storage import keys as store
from storage.engine import Database, now, repeatable

_LARGEST = 64 * 1024
_LONGEST_NAME = 128
_MOST = 100
_AT_ONCE = 200


class Secrets:
    def __init__(self, database: Database, ledger: Ledger, keyring: OrgKeyring, sealer: Sealer, connectors: Connectors) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._sealer = sealer
        self._connectors = connectors

    @repeatable
    async def put(self, caller: Caller, environment: str, name: str, value: SecretStr) -> None:
        """Store or replace a secret; the next stage that asks gets this one.

        Raises:
            ForbiddenError, InvalidError, NotFoundError: nothing is stored.
        """
        _check_is_admin(caller)
        content = value.get_secret_value().encode()
        if not 0 < len(name) <= _LONGEST_NAME or not 0 < len(content) <= _LARGEST:
            raise InvalidError(f"expected a name of 1 to {_LONGEST_NAME} characters and a value of 1 to {_LARGEST} bytes")
        key_id, key = await self._keyring.current(caller.org)
        sealed = self._sealer.seal(key, key_id, content, _place(caller.org, environment, name))
        async with self._database.transaction(caller.org) as session:
            await identity.environment(session, environment)
            secret = store.SealedSecret(
                name=name, environment=environment, key_id=key_id, sealed=sealed, updated_at=await now(session)
            )
            is_new = await store.put_secret(session, caller.org, secret)
            after = {"environment": environment, "key": key_id}
            await self._enter(session, caller, "secret.created" if is_new else "secret.replaced", name, after)

    @repeatable
    async def reveal_for_runner(
        self, org: OrgId, environment: str, names: Iterable[str], *, actor: Actor, why: str
    ) -> dict[str, str]:
        """The secrets of one environment, each reveal in the ledger; `why` names the run.

        Raises:
            NotFoundError: names those that are missing; nothing is revealed.
        """
        wanted = frozenset(names)
        if len(wanted) > _MOST:
            raise InvalidError(f"expected at most {_MOST} secrets at once, got {len(wanted)}")
        if not wanted:
            return {}
        async with self._database.transaction(org) as session:
            found = await store.get_secrets(session, environment, wanted)
            after = {"environment": environment, "names": sorted(wanted)}
            await self._ledger.append(
                session, org, "secret.revealed", actor=actor, resource_type="run", resource_id=why, after=after
            )
        return {secret.name: (await self._opened(org, secret)).decode() for secret in found}

    async def rotate_key(self, caller: Caller) -> str:
        """Give the org a fresh data key and seal every secret again under it; what was encrypted before stays readable.

        Raises:
            ForbiddenError: only an admin rotates.
        """
        _check_is_admin(caller)
        key_id = await self._add_key(caller)
        self._keyring.forget(caller.org)
        while await self._reseal(caller.org, key_id) or await self._reseal_connectors(caller.org, key_id):
            pass
        return key_id

    @repeatable
    async def _add_key(self, caller: Caller) -> str:
        async with self._database.transaction(caller.org) as session:
            key_id = await self._keyring.add(session, caller.org)
            await self._enter(session, caller, "org_key.rotated", key_id, {"key": key_id})
            return key_id

    @repeatable
    async def _reseal(self, org: OrgId, key_id: str) -> int:
        """How many secrets this call moved to the key."""
        key = await self._keyring.get(org, key_id)
        async with self._database.transaction(org) as session:
            old = await store.lock_secrets(session, not_under=key_id, limit=_AT_ONCE)
            for secret in old:
                place = _place(org, secret.environment, secret.name)
                sealed = self._sealer.seal(key, key_id, await self._opened(org, secret), place)
                fresh = secret.model_copy(update={"key_id": key_id, "sealed": sealed})
                await store.put_secret(session, org, fresh)
            return len(old)

    @repeatable
    async def _reseal_connectors(self, org: OrgId, key_id: str) -> int:
        async with self._database.transaction(org) as session:
            return await self._connectors.reseal(session, org, key_id=key_id, limit=_AT_ONCE)

    async def _opened(self, org: OrgId, secret: store.SealedSecret) -> bytes:
        key = await self._keyring.get(org, secret.key_id)
        return self._sealer.unseal(key, secret.sealed, _place(org, secret.environment, secret.name))

    async def _enter(self, session: AsyncSession, caller: Caller, action: str, name: str, after: dict[str, str]) -> None:
        actor = Actor.calling(caller)
        await self._ledger.append(
            session, caller.org, action, actor=actor, resource_type="secret", resource_id=name, after=after
        )


def _place(org: OrgId, environment: str, name: str) -> bytes:
    """Bound to the ciphertext, so that it opens in its own row only."""
    return f"{org.shown}|{environment}|{name}".encode()


def _check_is_admin(caller: Caller) -> None:
    if Role.ADMIN not in caller.principal.roles:
        raise ForbiddenError("secrets and keys are kept by those with the role admin")
