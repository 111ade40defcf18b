"""How a pipeline does of late."""

from datetime import timedelta

from domain.base import PipelineId
from domain.identity import Caller
from domain.monitoring import Snapshot
from storage import monitoring as store
from storage import pipelines
from storage.engine import Database


class Monitoring:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self, caller: Caller, pipeline: PipelineId, *, window: timedelta) -> Snapshot:
        """Raises NotFoundError: no such pipeline in the org."""
        async with self._database.transaction(caller.org) as session:
            await pipelines.get(session, pipeline)
            return await store.snapshot(session, pipeline, window)
