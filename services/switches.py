"""Engage and release an org's kill switches, hold and release its automatic mode, set its quotas."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actions import STOPPABLE
from domain.actor import Actor
from domain.base import KillSwitchId, OrgId, Value, WorkflowId
from domain.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from domain.identity import NARROW_QUOTAS, Caller, KillSwitch, Org, Quota, Role, SwitchLevel
from services.ledger import Ledger
from storage import identity, outbox, quotas, workflows
from storage import switches as store
from storage.engine import Database, repeatable
from storage.outbox import Letter

_ORG_LEVELS = (SwitchLevel.ORG, SwitchLevel.WORKFLOW, SwitchLevel.VENDOR, SwitchLevel.ACTION)
_LONGEST = 255
_HIGHEST_QUOTA = 10_000_000
_MOST_QUOTAS = 200


class Place(Value):
    """Which switch: its level, and what stands at that level."""

    level: SwitchLevel
    subject: str
    workflow: WorkflowId | None = None


class Switches:
    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    @repeatable
    async def engage(self, caller: Caller, level: SwitchLevel, subject: str, reason: str) -> KillSwitch:
        """Stop everything under the switch before its next effect; engaging again tells the workflows again.

        Raises:
            ForbiddenError: a viewer, or a level that only the platform has.
            InvalidError, NotFoundError: no reason, or nothing of that name.
        """
        if not caller.principal.roles - {Role.VIEWER}:
            raise ForbiddenError("a viewer only reads: engaging a kill switch needs another role")
        if not reason.strip():
            raise InvalidError("engaging a kill switch needs a reason", pointer="/reason")
        async with self._database.transaction(caller.org) as session:
            place = await _place(session, level, subject)
            switch = await self._set(session, caller, place, is_active=True, reason=reason)
            await outbox.add(session, caller.org, Letter.STOPPED, {"level": place.level, "subject": place.subject})
            return switch

    @repeatable
    async def release(self, caller: Caller, level: SwitchLevel, subject: str, reason: str) -> KillSwitch:
        """Raises ForbiddenError: only a person with the role admin releases."""
        if not caller.principal.is_person or Role.ADMIN not in caller.principal.roles:
            raise ForbiddenError("releasing a kill switch needs a person with the role admin")
        async with self._database.transaction(caller.org) as session:
            return await self._set(session, caller, await _place(session, level, subject), is_active=False, reason=reason)

    @repeatable
    async def set_automatic(self, caller: Caller, *, released: bool) -> Org:
        """Release the automatic mode, or hold it: then the policy answer `auto` means `human`.

        Raises:
            ForbiddenError: only a person with the role operator releases, only a viewer may not hold.
        """
        roles, is_person = caller.principal.roles, caller.principal.is_person
        if released and not (is_person and Role.OPERATOR in roles):
            raise ForbiddenError("releasing the automatic mode needs a person with the role operator")
        if not roles - {Role.VIEWER}:
            raise ForbiddenError("a viewer only reads: holding the automatic mode needs another role")
        async with self._database.transaction(caller.org) as session:
            if await identity.set_automatic(session, caller.org, released=released):
                action = "automatic.released" if released else "automatic.held"
                await self._enter(session, caller, action, "org", caller.org.shown, after={"automatic_released": released})
            return await identity.get_org(session, caller.org)

    async def page(self, org: OrgId, *, after: KillSwitchId | None = None, limit: int = 50) -> list[KillSwitch]:
        """The org's own, the oldest first; on the first page the platform's before them."""
        async with self._database.transaction(org) as session:
            wide = await store.all_platform(session) if after is None else []
            return [*wide, *await store.find(session, after=after, limit=limit)]

    async def org(self, org: OrgId) -> Org:
        async with self._database.transaction(org) as session:
            return await identity.get_org(session, org)

    async def quotas(self, org: OrgId) -> list[Quota]:
        async with self._database.transaction(org) as session:
            return await quotas.find(session)

    @repeatable
    async def put_quota(self, caller: Caller, quota: Quota) -> Quota:
        """A number of one of the common quotas, or of one workflow's or source's signals.

        Raises:
            ForbiddenError, InvalidError: not an admin, or not a possible number.
            NotFoundError, ConflictError: nothing is counted by that name; there are too many.
        """
        if Role.ADMIN not in caller.principal.roles:
            raise ForbiddenError("changing a quota needs the role admin")
        if not 0 <= quota.per_minute <= _HIGHEST_QUOTA:
            raise InvalidError(f"expected 0 to {_HIGHEST_QUOTA} per minute", pointer="/per_minute")
        async with self._database.transaction(caller.org) as session:
            before = await quotas.get(session, quota.name)
            if before is None:
                await self._check_new(session, quota.name)
            await quotas.put(session, caller.org, quota)
            await self._enter(session, caller, "quota.changed", "quota", quota.name, before=before, after=quota)
        return quota

    async def _check_new(self, session: AsyncSession, name: str) -> None:
        if not any(name.startswith(prefix) and name != prefix for prefix in NARROW_QUOTAS):
            raise NotFoundError("no such quota")
        if await quotas.count(session) >= _MOST_QUOTAS:
            raise ConflictError(f"an org has at most {_MOST_QUOTAS} quotas")

    async def _set(self, session: AsyncSession, caller: Caller, place: Place, *, is_active: bool, reason: str) -> KillSwitch:
        before = await store.get(session, place.level, place.subject)
        switch = await store.put(
            session,
            caller.org,
            place.level,
            place.subject,
            is_active=is_active,
            reason=reason,
            workflow=place.workflow,
            by=caller.id,
        )
        action = "kill_switch.engaged" if is_active else "kill_switch.released"
        await self._enter(session, caller, action, "kill_switch", f"{place.level}/{place.subject}", before=before, after=switch)
        return switch

    async def _enter(
        self,
        session: AsyncSession,
        caller: Caller,
        action: str,
        resource_type: str,
        resource_id: str,
        *,
        before: object = None,
        after: object = None,
    ) -> None:
        await self._ledger.append(
            session,
            caller.org,
            action,
            actor=Actor.calling(caller),
            resource_type=resource_type,
            resource_id=resource_id[:_LONGEST],
            before=before,
            after=after,
        )


async def _place(session: AsyncSession, level: SwitchLevel, subject: str) -> Place:
    if level not in _ORG_LEVELS:
        raise ForbiddenError(f"the level {level} is the platform's: use `suture platform` on its machine")
    if not 0 < len(subject) <= _LONGEST - len("workflow/"):
        raise InvalidError(f"expected a subject of 1 to {_LONGEST - len('workflow/')} characters", pointer="/subject")
    if level is SwitchLevel.ORG and subject != "*":
        raise InvalidError("the subject of the level org is *", pointer="/subject")
    if level is SwitchLevel.WORKFLOW:
        return await _workflow(session, subject)
    _check_stops_something(level, subject)
    return Place(level=level, subject=subject)


async def _workflow(session: AsyncSession, named: str) -> Place:
    found = await workflows.find(session, named)
    if found is None:
        raise NotFoundError("no such workflow: its kill switch would stop nothing")
    return Place(level=SwitchLevel.WORKFLOW, subject=found.name, workflow=found.id)


def _check_stops_something(level: SwitchLevel, subject: str) -> None:
    """A switch over nothing would look like safety: it is refused, with what there is."""
    if level is SwitchLevel.VENDOR:
        raise InvalidError("there are no vendors yet, so a switch of this level would stop nothing", pointer="/level")
    if level is SwitchLevel.ACTION and subject not in STOPPABLE:
        raise InvalidError(f"no action is called so: expected one of {', '.join(sorted(STOPPABLE))}", pointer="/subject")
