"""The org's directory of people and service accounts, kept by its admins."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import OrgId, PrincipalId
from domain.errors import ConflictError, ForbiddenError, InvalidError
from domain.identity import Caller, Principal, Role, check_may_hold
from domain.principals import NewPrincipal, PrincipalPatch
from services.ledger import Ledger
from storage import identity as store
from storage.engine import Database, repeatable


class Principals:
    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    @repeatable
    async def create(self, caller: Caller, wanted: NewPrincipal) -> Principal:
        """Raises ForbiddenError, InvalidError, NotFoundError, ConflictError: nothing is stored."""
        _check_is_admin(caller)
        check_may_hold(wanted.kind, wanted.roles, wanted.owner)
        async with self._database.transaction(caller.org) as session:
            if wanted.owner is not None:
                await _check_owner(session, wanted.owner)
            return await self.add(session, caller.org, wanted, actor=Actor.calling(caller))

    async def add(self, session: AsyncSession, org: OrgId, wanted: NewPrincipal, *, actor: Actor) -> Principal:
        principal = await store.add_principal(session, org, wanted)
        await self._enter(session, org, "principal.created", actor, after=principal)
        return principal

    async def get(self, org: OrgId, principal: PrincipalId) -> Principal:
        async with self._database.transaction(org) as session:
            return await store.get_principal(session, principal)

    async def page(self, org: OrgId, *, after: PrincipalId | None = None, limit: int = 50) -> list[Principal]:
        async with self._database.transaction(org) as session:
            return await store.list_principals(session, after=after, limit=limit)

    @repeatable
    async def change(self, caller: Caller, principal: PrincipalId, patch: PrincipalPatch) -> Principal:
        """The principal as it is from now on, for every token it has.

        Raises:
            ForbiddenError, NotFoundError, ConflictError: nothing changes; an org keeps at least one active admin.
        """
        _check_is_admin(caller)
        async with self._database.transaction(caller.org) as session:
            before, other_admins = await store.lock_principals(session, principal)
            after = before.model_copy(update=patch.model_dump(exclude_none=True))
            check_may_hold(after.kind, after.roles, after.owner)
            if _leads(before) and not _leads(after) and not other_admins:
                raise ConflictError("this is the only active person with the role admin, so nobody could undo it")
            if after != before:
                await store.change_principal(session, after)
                await self._enter(session, caller.org, "principal.changed", Actor.calling(caller), before=before, after=after)
            return after

    async def _enter(
        self,
        session: AsyncSession,
        org: OrgId,
        action: str,
        actor: Actor,
        *,
        after: Principal,
        before: Principal | None = None,
    ) -> None:
        resource = after.id.shown
        await self._ledger.append(
            session, org, action, actor=actor, resource_type="principal", resource_id=resource, before=before, after=after
        )


def _check_is_admin(caller: Caller) -> None:
    if Role.ADMIN not in caller.principal.roles:
        raise ForbiddenError("principals are kept by those with the role admin")


async def _check_owner(session: AsyncSession, owner: PrincipalId) -> None:
    found = await store.get_principal(session, owner)
    if not found.is_person or not found.is_active:
        raise InvalidError("the owner of a service account is an active person", pointer="/owner")


def _leads(principal: Principal) -> bool:
    return principal.is_active and principal.is_person and Role.ADMIN in principal.roles
