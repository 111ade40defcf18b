"""Long work that was accepted, asked about meanwhile: read from the work itself, so that both always agree."""

from domain.base import ExecutionId, OperationId, OrgId, RecoveryId
from domain.errors import NotFoundError
from domain.operation import Operation, of_replay, of_run
from storage import executions, recovery
from storage.engine import Database


class Operations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, org: OrgId, operation: OperationId) -> Operation:
        """Raises NotFoundError: no such operation in the org."""
        async with self._database.transaction(org) as session:
            try:
                return of_run(await executions.get(session, ExecutionId(int=operation.int)))
            except NotFoundError:
                return of_replay(await recovery.get(session, RecoveryId(int=operation.int)))
