"""The registry of workflows: what signals are about; every pipeline is one of them."""

from typing import Annotated

from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import Value, WorkflowId
from domain.identity import Caller
from services.ledger import Ledger
from storage import workflows as store
from storage.engine import Database, repeatable
from storage.workflows import Workflow

WorkflowName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class NewWorkflow(Value):
    name: WorkflowName
    description: str = Field(default="", max_length=2_000)


class WorkflowPatch(Value):
    """Only what is set changes."""

    description: str | None = Field(default=None, max_length=2_000)
    is_active: bool | None = None


class Workflows:
    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    @repeatable
    async def create(self, caller: Caller, wanted: NewWorkflow) -> Workflow:
        """Raises ConflictError: the name is taken."""
        async with self._database.transaction(caller.org) as session:
            workflow = await store.add(session, caller.org, wanted.name, wanted.description)
            await self._enter(session, caller, "workflow.created", None, workflow)
            return workflow

    async def get(self, caller: Caller, workflow: WorkflowId) -> Workflow:
        """Raises NotFoundError: no such workflow in the org."""
        async with self._database.transaction(caller.org) as session:
            return await store.get(session, workflow)

    async def page(self, caller: Caller, *, after: WorkflowId | None, limit: int) -> list[Workflow]:
        async with self._database.transaction(caller.org) as session:
            return await store.page(session, after=after, limit=limit)

    @repeatable
    async def change(self, caller: Caller, workflow: WorkflowId, patch: WorkflowPatch) -> Workflow:
        """Raises NotFoundError: no such workflow in the org."""
        async with self._database.transaction(caller.org) as session:
            before = await store.get(session, workflow)
            after = before.model_copy(update=patch.model_dump(exclude_none=True))
            if after != before:
                await store.change(session, after)
                await self._enter(session, caller, "workflow.changed", before, after)
            return after

    async def _enter(
        self, session: AsyncSession, caller: Caller, action: str, before: Workflow | None, after: Workflow
    ) -> None:
        await self._ledger.append(
            session,
            caller.org,
            action,
            actor=Actor.calling(caller),
            resource_type="workflow",
            resource_id=after.id.shown,
            before=before,
            after=after,
        )
