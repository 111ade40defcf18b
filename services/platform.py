"""Acts of the platform, done on its machine and never over HTTP: orgs, the widest kill switches, its own ledger."""

from typing import Annotated
from uuid import uuid4

from pydantic import StringConstraints, TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import Name, OrgId
from domain.canonical import digest
from domain.errors import ConflictError, InvalidError
from domain.identity import Environment, KillSwitch, Org, SwitchLevel
from domain.ledger import PLATFORM, ActorType, Chain, Record, Verification, link
from services.keyring import OrgKeyring
from storage import keys, outbox, switches
from storage import platform as store
from storage.engine import Database, now
from storage.outbox import Letter

ENVIRONMENTS = (
    Environment(name="dev", is_production=False),
    Environment(name="staging", is_production=False),
    Environment(name="prod", is_production=True),
)
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_SUBJECT: TypeAdapter[str] = TypeAdapter(Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9][a-z0-9-]{0,62})$")])
_BATCH = 1_000


class Platform:
    """`database` logs in as the platform's role; `actor` is who sits at the machine."""

    def __init__(self, database: Database, *, actor: str) -> None:
        self._database = database
        self._actor = actor

    async def create_org(self, name: str) -> Org:
        """Its rows alone; `Founding` makes it usable.

        Raises:
            ConflictError, InvalidError: the name is taken, or is no name.
        """
        async with self._database.transaction(PLATFORM) as session:
            org = await store.add_org(session, _checked(_NAME, name, "name"))
            if org is None:
                raise ConflictError(f"there is an org called {name} already")
            for environment in ENVIRONMENTS:
                await store.add_environment(session, org.id, environment)
            await self._enter(session, "org.created", "org", org.id.shown, {"name": name})
            return org

    async def org_named(self, name: str) -> Org:
        """Raises NotFoundError: there is none."""
        async with self._database.transaction(PLATFORM) as session:
            return await store.org_named(session, name)

    async def orgs(self, *, after: OrgId | None = None, limit: int = 50) -> list[Org]:
        async with self._database.transaction(PLATFORM) as session:
            return await store.list_orgs(session, after=after, limit=limit)

    async def set_org_active(self, name: str, *, is_active: bool, reason: str) -> Org:
        """From now on its tokens count, or do not.

        Raises:
            NotFoundError: there is no such org.
        """
        async with self._database.transaction(PLATFORM) as session:
            org = await store.org_named(session, name)
            if org.is_active != is_active:
                await store.set_active(session, org.id, is_active=is_active)
                action = "org.activated" if is_active else "org.deactivated"
                await self._enter(session, action, "org", org.id.shown, {"reason": reason})
                if not is_active:
                    told = {"level": SwitchLevel.ORG, "subject": "*"}
                    await outbox.add_from_platform(session, org.id, Letter.STOPPED, told)
            return org.model_copy(update={"is_active": is_active})

    async def engage(self, level: SwitchLevel, subject: str, reason: str) -> KillSwitch:
        """Stop every org, or every org of a region, before its next effect."""
        if not reason.strip():
            raise InvalidError("engaging a kill switch needs a reason")
        return await self._switch(level, subject, is_active=True, reason=reason)

    async def release(self, level: SwitchLevel, subject: str, reason: str) -> KillSwitch:
        return await self._switch(level, subject, is_active=False, reason=reason)

    async def ensure_switches(self, region: str) -> None:
        """The switches that always exist, released unless somebody engaged them."""
        async with self._database.transaction(PLATFORM) as session:
            there = {(switch.level, switch.subject) for switch in await switches.all_platform(session)}
        for level, subject in ((SwitchLevel.GLOBAL, "*"), (SwitchLevel.REGION, region)):
            if (level, subject) not in there:
                await self.release(level, subject, "provisioned")

    async def ensure_key(self, keyring: OrgKeyring) -> None:
        """The platform's own data key."""
        async with self._database.transaction(PLATFORM) as session:
            if await keys.current(session, None) is None:
                await self._enter(session, "platform_key.created", "platform_key", await keyring.add(session, None), {})

    async def verify(self) -> Verification:
        """Walks the platform's ledger and names the first bad seq."""
        chain = Chain()
        while True:
            async with self._database.transaction(PLATFORM) as session:
                batch = await store.entries(session, after=chain.size, limit=_BATCH)
            for entry in batch:
                if fault := chain.follow(entry):
                    return chain.verification(fault=fault)
            if not batch:
                return chain.verification()

    async def _switch(self, level: SwitchLevel, subject: str, *, is_active: bool, reason: str) -> KillSwitch:
        if level not in (SwitchLevel.GLOBAL, SwitchLevel.REGION):
            raise InvalidError(f"expected the level global or region, got {level}")
        subject = _checked(_SUBJECT, subject, "subject")
        if (level is SwitchLevel.GLOBAL) != (subject == "*"):
            raise InvalidError("the subject of the level global is *, that of the level region is a region")
        async with self._database.transaction(PLATFORM) as session:
            _, switch = await switches.put_platform(session, level, subject, is_active=is_active, reason=reason)
            action = "kill_switch.engaged" if is_active else "kill_switch.released"
            await self._enter(session, action, "kill_switch", f"{level}/{subject}", {"reason": reason})
            if is_active:
                await outbox.add_for_every_org(session, Letter.STOPPED, {"level": level, "subject": subject})
            return switch

    async def _enter(
        self, session: AsyncSession, action: str, resource_type: str, resource_id: str, after: dict[str, str]
    ) -> None:
        previous = await store.last_entry(session)
        record = Record(
            org_id=PLATFORM,
            seq=previous.seq + 1 if previous else 1,
            at=await now(session),
            actor_type=ActorType.SYSTEM,
            actor_id=self._actor,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            trace_id=uuid4().hex,
            after_digest=digest(after) if after else None,
        )
        await store.add_entry(session, link(previous, record))


def _checked(adapter: TypeAdapter[str], value: str, what: str) -> str:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        raise InvalidError(f"expected a {what} of 1 to 63 lower-case letters, digits and hyphens") from None
