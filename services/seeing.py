"""What was seen of services: anomalies, and what their log lines say."""

from domain.anomaly import SeenAnomaly
from domain.base import AnomalyId
from domain.identity import Caller
from domain.watch import SeenTemplate
from storage import anomalies, log_templates
from storage.engine import Database


class Seeing:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def anomalies(
        self,
        caller: Caller,
        *,
        service: str | None,
        environment: str | None,
        detector: str | None,
        is_open: bool | None,
        after: AnomalyId | None,
        limit: int,
    ) -> list[SeenAnomaly]:
        """The newest first."""
        async with self._database.transaction(caller.org) as session:
            return await anomalies.find(
                session,
                service=service,
                environment=environment,
                detector=detector,
                is_open=is_open,
                after=after,
                limit=limit,
            )

    async def log_templates(
        self, caller: Caller, *, service: str, environment: str, after: int | None, limit: int
    ) -> list[SeenTemplate]:
        """Of one service, the newest first."""
        async with self._database.transaction(caller.org) as session:
            return await log_templates.find(session, service=service, environment=environment, after=after, limit=limit)
