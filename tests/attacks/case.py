"""A plan that waits for people, those who attack it, and what must be as before after an attack."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType

from domain.approval import Approval, Grant
from domain.audit import AuditFilter
from domain.base import PlanId
from domain.identity import Caller, Role
from domain.incident import Status
from domain.plan import PlanState, PlanStatus
from domain.principals import NewToken, PrincipalPatch
from domain.refs import PlanRef
from services.registry import Services
from storage import approvals, plans
from storage.engine import Database
from tests.api.site import Person
from tests.engine import until
from tests.workflows.scene import Scene


@dataclass
class Case:
    """`plan` was asked for by the scene's operator; it waits for `approval`, and once granted for an operator's word."""

    scene: Scene
    database: Database
    client: httpx2.AsyncClient
    plan: PlanState
    approval: Approval

    @property
    def ref(self) -> PlanRef:
        return PlanRef(org=self.plan.plan.org, id=self.plan.plan.id)

    @property
    def named(self) -> dict[str, str]:
        """The body by which routes are told the plan."""
        return {"plan_id": self.plan.plan.id.shown}

    async def person(self, caller: Caller) -> Person:
        """The caller with one more token of their own."""
        return await person(self.scene.services, self.client, caller)

    async def give(self, caller: Caller, *roles: Role) -> None:
        """From now on the caller has exactly these roles."""
        patch = PrincipalPatch(roles=frozenset(roles))
        await self.scene.services.principals.change(self.scene.tenant.admin, caller.id, patch)

    async def grant(self) -> Grant:
        """What the approver's word comes to."""
        assert (await self.scene.decide(self.approval)).settled
        await self.until_plan(PlanStatus.GRANTED)
        found = await self.granted()
        assert found is not None
        return found

    async def granted(self, plan: PlanId | None = None) -> Grant | None:
        async with self.database.transaction(self.ref.org) as session:
            return await approvals.grant_of(session, plan or self.ref.id)

    async def status(self) -> PlanStatus:
        async with self.database.transaction(self.ref.org) as session:
            return (await plans.get(session, self.ref.id)).status

    async def until_plan(self, status: PlanStatus) -> None:
        async def so() -> bool:
            return await self.status() is status

        await until(so, why=f"the plan becomes {status}")

    async def effects(self) -> tuple[int, int, int]:
        """How many commands and resumptions there are that are no dry-run, and which config version is current."""
        async with self.database.transaction(self.ref.org) as session:
            commands = await session.scalar(text("select count(*) from commands where kind <> 'dry_run'"))
            resumptions = await session.scalar(text("select count(*) from resumptions"))
        return commands, resumptions, (await self.scene.current()).version

    async def entries(self, action: str) -> int:
        return len(await self.scene.services.audit.page(self.ref.org, AuditFilter(action=action), limit=200))

    async def standing(self) -> tuple[object, ...]:
        """Everything that an attack would like to change."""
        asked = await self.scene.services.approvals.get(self.scene.author, self.approval.id)
        return asked, await self.status(), await self.granted(), await self.effects()

    @asynccontextmanager
    async def refused(self, action: str) -> AsyncIterator[None]:
        """What happens inside leaves one entry of this action in the audit log, and nothing else anywhere."""
        entries, size = await self.entries(action), await self._size()
        async with self.unchanged():
            yield
        assert (await self.entries(action), await self._size()) == (entries + 1, size + 1)

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        before = await self.standing()
        yield
        assert await self.standing() == before

    async def _size(self) -> int:
        """How many entries the org's audit log has."""
        (last,) = await self.scene.services.audit.page(self.ref.org, AuditFilter(), limit=1)
        return int(last.seq)

    async def until_asleep(self, *, after: str) -> None:
        """Wait until the workflow has done this activity and set its timer, so that nothing looks at the clock meanwhile."""

        async def asleep() -> bool:
            events = (await self.scene.handle(self.plan.carrier).fetch_history()).events
            names = [each.activity_task_scheduled_event_attributes.activity_type.name for each in events]
            timers = [at for at, each in enumerate(events) if each.event_type == EventType.EVENT_TYPE_TIMER_STARTED]
            return after in names and bool(timers) and timers[-1] > names.index(after)

        await until(asleep, why=f"the workflow sleeps after {after}")

    async def next_approval(self) -> Approval:
        """The approval of the plan that takes this one's place."""
        return await self.scene.approval(other_than=self.approval)

    async def until_incident(self, status: Status) -> None:
        await self.scene.until_incident(self.plan.plan.incident, status)


async def person(services: Services, client: httpx2.AsyncClient, caller: Caller) -> Person:
    """The caller with a token of their own, for the API."""
    issued = await services.identity.create_token(caller, NewToken(principal=caller.id, scopes=("*",)))
    secret = issued.secret.get_secret_value()
    return Person(await services.identity.authenticate(secret), secret, client)


def problem(response: httpx2.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return response.status_code, response.json().get("type", "").removeprefix("/problems/")
