"""What was seen of services: anomalies, what their log lines say, and how they do of late."""

import asyncio
from datetime import UTC, datetime

from domain.anomaly import SeenAnomaly
from domain.base import AnomalyId
from domain.errors import NotFoundError
from domain.identity import Caller
from domain.refs import MonitorRef
from domain.service_view import ServiceView, Window
from domain.watch import SeenTemplate, TemplateGroup
from models.logs.variants import Variants, grouped
from models.watch.lines import mined
from models.watch.view import view
from storage import anomalies, log_templates, monitors, rollups
from storage.engine import Database, now

MOST_GROUPED = 2_000
"""Of more templates those seen less often are left out: comparing them takes a core for long."""


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

    async def template_groups(self, caller: Caller, *, service: str, environment: str, limit: int) -> list[TemplateGroup]:
        """Those of its most frequent templates that say nearly the same, together; the most frequent group first."""
        ref = MonitorRef(org=caller.org, environment=environment, service=service)
        async with self._database.transaction(caller.org) as session:
            known = await log_templates.most_frequent(session, ref, limit=MOST_GROUPED)
        return [_group(each) for each in (await asyncio.to_thread(grouped, map(mined, known)))[:limit]]

    async def service(self, caller: Caller, *, service: str, environment: str, window: Window) -> ServiceView:
        """Raises NotFoundError: nothing of the service was ever watched in that environment."""
        ref = MonitorRef(org=caller.org, environment=environment, service=service)
        async with self._database.transaction(caller.org) as session:
            if await monitors.get(session, ref) is None:
                raise NotFoundError(f"no service {service} is watched in {environment}")
            at = await now(session)
            sums = await rollups.of_service(session, ref, window.minutes, since=window.began(at), until=at)
        return await asyncio.to_thread(view, sums, service=service, environment=environment, window=window, now=at)


def _group(found: Variants) -> TemplateGroup:
    return TemplateGroup(
        number=found.number,
        template=found.text,
        exemplar=found.exemplar,
        members=found.members,
        count=found.count,
        first_seen_at=datetime.fromtimestamp(found.first, tz=UTC),
        last_seen_at=datetime.fromtimestamp(found.last, tz=UTC),
        rate=found.rate,
        novelty=found.novelty,
    )
