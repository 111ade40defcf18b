"""Long work that was accepted: created once, finished once, asked about meanwhile."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import OperationId, OrgId
from domain.operation import Operation, OperationStatus
from storage import operations as store
from storage.engine import Database


class Operations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, session: AsyncSession, org: OrgId, operation: OperationId, *, kind: str, resource_type: str, resource_id: str
    ) -> Operation:
        """In the caller's transaction, so that it exists exactly if the work does."""
        await store.add(session, org, operation, kind=kind, resource_type=resource_type, resource_id=resource_id)
        return await store.get(session, operation)

    async def get(self, org: OrgId, operation: OperationId) -> Operation:
        """Raises NotFoundError: no such operation in the org."""
        async with self._database.transaction(org) as session:
            return await store.get(session, operation)

    async def finish(self, session: AsyncSession, operation: OperationId, status: OperationStatus) -> Operation:
        await store.finish(session, operation, status)
        return await store.get(session, operation)
