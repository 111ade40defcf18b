"""Make an org usable: its data key, its switch, its quotas, its first admin; what is there already stays."""

from collections.abc import Callable, Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import PROVISION
from domain.base import OrgId
from domain.identity import Quota, Role, SwitchLevel
from domain.principals import IssuedToken, NewPrincipal, NewToken
from services.guard import DEFAULT_QUOTAS
from services.identity import Identity
from services.keyring import OrgKeyring
from services.ledger import Ledger
from services.principals import Principals
from storage import identity as people
from storage import keys, quotas, switches
from storage.engine import Database


class Founding:
    def __init__(self, database: Database, ledger: Ledger, keyring: OrgKeyring, identity: Identity) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._identity = identity
        self._principals = Principals(database, ledger)

    async def found(
        self,
        org: OrgId,
        *,
        admin: NewPrincipal,
        keep: Callable[[IssuedToken], None],
        allowed: Mapping[str, int] = DEFAULT_QUOTAS,
    ) -> IssuedToken | None:
        """The first admin's token, given to `keep` before anything is committed; None if the org has people already."""
        async with self._database.transaction(org) as session:
            await self._ensure_key(session, org)
            await self._ensure_switch(session, org)
            await self._ensure_quotas(session, org, allowed)
            if await people.count_principals(session):
                return None
            principal = await self._principals.add(session, org, admin, actor=PROVISION)
            wanted = NewToken(principal=principal.id, scopes=("*",))
            token = await self._identity.issue(session, principal, wanted, issuer=principal.id, actor=PROVISION)
            keep(token)
            return token

    async def _ensure_key(self, session: AsyncSession, org: OrgId) -> None:
        if await keys.current(session, org) is None:
            await self._enter(session, org, "org_key.created", "org_key", await self._keyring.add(session, org))

    async def _ensure_switch(self, session: AsyncSession, org: OrgId) -> None:
        if await switches.get(session, SwitchLevel.ORG, "*") is None:
            await switches.put(session, org, SwitchLevel.ORG, "*", is_active=False, reason="provisioned", by=None)
            await self._enter(session, org, "kill_switch.released", "kill_switch", "org/*")

    async def _ensure_quotas(self, session: AsyncSession, org: OrgId, allowed: Mapping[str, int]) -> None:
        for name, per_minute in allowed.items():
            if await quotas.get(session, name) is None:
                await quotas.put(session, org, Quota(name=name, per_minute=per_minute))
                await self._enter(session, org, "quota.changed", "quota", name)

    async def _enter(self, session: AsyncSession, org: OrgId, action: str, resource_type: str, resource_id: str) -> None:
        await self._ledger.append(session, org, action, actor=PROVISION, resource_type=resource_type, resource_id=resource_id)


def first_admin(name: str) -> NewPrincipal:
    """May set everything up and run it; whoever approves is a second person."""
    return NewPrincipal(name=name, roles=frozenset({Role.VIEWER, Role.OPERATOR, Role.AUTHOR, Role.ADMIN}))
