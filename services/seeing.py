"""What was seen of services: anomalies, what their log lines say, and how they do of late."""

from domain.anomaly import SeenAnomaly
from domain.base import AnomalyId
from domain.errors import NotFoundError
from domain.identity import Caller
from domain.refs import MonitorRef
from domain.service_view import ServiceView, Window
from domain.watch import SeenTemplate
from models.watch.view import view
from storage import anomalies, log_templates, monitors, rollups
from storage.engine import Database, now


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

    async def service(self, caller: Caller, *, service: str, environment: str, window: Window) -> ServiceView:
        """Raises NotFoundError: nothing of the service was ever watched in that environment."""
        ref = MonitorRef(org=caller.org, environment=environment, service=service)
        async with self._database.transaction(caller.org) as session:
            if await monitors.get(session, ref) is None:
                raise NotFoundError(f"no service {service} is watched in {environment}")
            at = await now(session)
            sums = await rollups.of_service(session, ref, window.minutes, since=window.began(at), until=at)
        return view(sums, service=service, environment=environment, window=window, now=at)
