"""Look at what has arrived of a service, learn what is usual, suspect what is odd, and open incidents for what is confirmed."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.anomaly import Anomaly, AnomalyStatus
from domain.base import IncidentId, SignalId
from domain.detecting import DetectorMode
from domain.errors import ConflictError
from domain.incident import Severity
from domain.refs import IncidentRef, MonitorRef
from domain.signal import signature
from domain.watch import Arrival, LogPatterns, Look, Monitor
from models.watch.watcher import Taken, Watcher
from services.detectors import reconsider
from services.incidents import Incidents
from services.ledger import Ledger
from services.narrowing import REMEMBERED, Narrowing
from services.opening import Breakage, open_incident
from services.suspecting import suspect
from storage import anomalies, log_templates, monitors
from storage import identity as identities
from storage.engine import Database, now

MONITOR = Actor.part("monitor")
_TITLE = 255

log = logging.getLogger("suture.monitor")


@dataclass
class _Mind:
    """What this process remembers of a service; it counts while nobody else has read on."""

    version: int
    watcher: Watcher


class Monitors:
    def __init__(self, database: Database, ledger: Ledger, incidents: Incidents) -> None:
        self._database = database
        self._ledger = ledger
        self._incidents = incidents
        self._minds: OrderedDict[str, _Mind] = OrderedDict()
        self._narrowing = Narrowing()

    async def look(self, ref: MonitorRef) -> Look:
        """Read on from where the last look ended; what it has found is stored when this returns.

        Where a detector cannot read what has come, half as much is read by the next look; a signal that cannot be read even by
        itself is laid aside, so that it stops nobody from seeing the others.
        """
        async with self._database.transaction(ref.org) as session:
            monitor = await monitors.get(session, ref)
            if monitor is None:
                return Look()
            arrivals = await monitors.unread(session, ref, monitor.cursor, limit=self._narrowing.most(ref.workflow_id))
            mind = self._remembered(ref, monitor) or await self._recalled(session, ref, monitor)
            if not arrivals:
                self._remember(ref, mind)
                if missing := mind.watcher.missing(await now(session)):
                    await suspect(session, ref, missing)
                return await self._found(session, ref)
        self._minds.pop(ref.workflow_id, None)  # what it is told now counts once it is stored
        taken = await asyncio.to_thread(_take, mind.watcher, monitor.patterns, arrivals)
        if isinstance(taken, Exception):
            return await self._narrow(ref, monitor, arrivals, taken)
        try:
            look = await self._store(ref, monitor, arrivals, taken)
        except ConflictError:
            return Look(is_behind=True)
        self._remember(ref, _Mind(monitor.version + 1, mind.watcher))
        self._narrowing.read(ref.workflow_id)
        if self._narrowing.is_troubled(ref.workflow_id):
            await self.keep(ref)
        return look

    async def judge(self, ref: MonitorRef) -> IncidentId | None:
        """Settle every suspicion that is ripe; the incident that what is confirmed has opened or joined.

        What is confirmed in the shadow opens none. A detector of which an anomaly has ended is thought over.
        An incident of which every anomaly is over is resolved, unless a fix is at work on it.
        """
        async with self._database.together(ref.org):
            async with self._database.transaction(ref.org) as session:
                at = await now(session)
                ripe = [each for each in await anomalies.held(session, ref) if each.is_ripe(at)]
                settled = [each.model_copy(update={"status": each.verdict(at)}) for each in ripe]
                confirmed = [each for each in settled if each.status is AnomalyStatus.CONFIRMED]
                telling = [each for each in confirmed if each.mode is not DetectorMode.SHADOW]
                incident = await self._open(session, ref, telling) if telling else None
                ended = [each.model_copy(update={"ended_at": at}) for each in settled if not each.is_open]
                opened = [each.model_copy(update={"incident_id": incident}) for each in telling]
                silent = [each for each in confirmed if each.mode is DetectorMode.SHADOW]
                await anomalies.put(session, ref, [*ended, *opened, *silent])
                calm = await anomalies.calm_incidents(session, {each.incident_id for each in ended if each.incident_id})
            for each in calm:
                await self._incidents.calm(IncidentRef(org=ref.org, id=each), actor=MONITOR)
            over = {each.detector for each in ended if each.status is AnomalyStatus.OVER}
            if over:
                async with self._database.transaction(ref.org) as session:
                    await reconsider(session, self._ledger, ref.org, over, actor=MONITOR)
            return incident

    async def keep(self, ref: MonitorRef) -> None:
        """Store what has been learnt since it was last stored."""
        mind = self._minds.get(ref.workflow_id)
        learnt = mind.watcher.unkept() if mind else []
        if learnt:
            async with self._database.transaction(ref.org) as session:
                await monitors.keep_series(session, ref, learnt)

    async def due(self, ref: MonitorRef) -> timedelta | None:
        """How long until something will be missing if it does not come; None when nothing is waited for."""
        async with self._database.transaction(ref.org) as session:
            monitor = await monitors.get(session, ref)
            if monitor is None:
                return None
            mind = self._remembered(ref, monitor) or await self._recalled(session, ref, monitor)
            at = await now(session)
        self._remember(ref, mind)
        due = mind.watcher.due(at)
        return None if due is None else max(timedelta(0), due - at)

    async def rest(self, ref: MonitorRef) -> bool:
        """Whether the service's monitor sleeps now: nothing waits for it, and whatever comes next will wake it."""
        async with self._database.transaction(ref.org) as session:
            if any(each.is_undecided for each in await anomalies.held(session, ref)):
                return False
            return await monitors.rest(session, ref)

    def _remembered(self, ref: MonitorRef, monitor: Monitor) -> _Mind | None:
        mind = self._minds.get(ref.workflow_id)
        return mind if mind and mind.version == monitor.version else None

    async def _recalled(self, session: AsyncSession, ref: MonitorRef, monitor: Monitor) -> _Mind:
        learnt, templates = await monitors.series(session, ref), await log_templates.of_service(session, ref)
        return _Mind(monitor.version, Watcher.restored(monitor, learnt, templates, await now(session)))

    def _remember(self, ref: MonitorRef, mind: _Mind) -> None:
        self._minds[ref.workflow_id] = mind
        if len(self._minds) > REMEMBERED:
            self._minds.popitem(last=False)

    async def _narrow(self, ref: MonitorRef, monitor: Monitor, arrivals: Sequence[Arrival], error: Exception) -> Look:
        """What was learnt since it was last stored is gone with a mind that fell over its thoughts."""
        hopeless = self._narrowing.failed(ref.workflow_id, arrivals, error)
        if hopeless is not None:
            with suppress(ConflictError):  # somebody else has read on, and looks at it
                await self._lay_aside(ref, monitor, hopeless, error)
        return Look(is_behind=True)

    async def _lay_aside(self, ref: MonitorRef, monitor: Monitor, arrival: Arrival, error: Exception) -> None:
        """It stays stored, and is counted nowhere; the audit log says why."""
        reason = type(error).__name__
        log.error("signal is laid aside", extra={"monitor": ref.workflow_id, "signal": str(arrival.id)}, exc_info=error)
        read = monitor.model_copy(update={"version": monitor.version + 1, "cursor": arrival.cursor})
        async with self._database.transaction(ref.org) as session:
            await monitors.advance(session, ref, read)
            await self._ledger.append(
                session,
                ref.org,
                "signal.laid_aside",
                actor=MONITOR,
                resource_type="signal",
                resource_id=SignalId.of(arrival.id).shown,
                after={"service": ref.service, "environment": ref.environment, "kind": arrival.kind, "reason": reason},
            )

    async def _store(self, ref: MonitorRef, monitor: Monitor, arrivals: Sequence[Arrival], taken: Taken) -> Look:
        async with self._database.transaction(ref.org) as session:
            read = Monitor(
                version=monitor.version + 1,
                cursor=arrivals[-1].cursor,
                next_template=taken.mined.next_template,
                lines=taken.mined.lines,
            )
            await monitors.advance(session, ref, read)
            await log_templates.put(session, ref, taken.mined.changed)
            await log_templates.remove(session, ref, taken.mined.gone)
            for minutes, sums in taken.sums.items():
                await monitors.add_up(session, ref, minutes, sums)
            await suspect(session, ref, taken.observations)
            found = await self._found(session, ref)
        is_behind = len(arrivals) == self._narrowing.most(ref.workflow_id)
        return found.model_copy(update={"signals": len(arrivals), "is_behind": is_behind})

    async def _found(self, session: AsyncSession, ref: MonitorRef) -> Look:
        at, open_ones = await now(session), await anomalies.open_ones(session, ref)
        return Look(
            is_ripe=any(each.is_ripe(at) for each in open_ones),
            is_ripening=any(each.is_ripening for each in open_ones),
        )

    async def _open(self, session: AsyncSession, ref: MonitorRef, confirmed: Sequence[Anomaly]) -> IncidentId:
        """All that is abnormal of one service at a time is one story."""
        broken = Breakage(
            signature=signature(org=ref.org, service=ref.service, error_code="abnormal", workflow="monitor"),
            title=_title(ref, confirmed),
            service=ref.service,
            environment=await identities.environment(session, ref.environment),
            severity=Severity.SEV1 if any(each.mode is DetectorMode.PAGE for each in confirmed) else None,
            known={"anomalies": [each.id.shown for each in confirmed]},
        )
        return (await open_incident(session, self._ledger, ref.org, broken, actor=MONITOR)).id


def _take(watcher: Watcher, patterns: LogPatterns, arrivals: Sequence[Arrival]) -> Taken | Exception:
    """What comes of them, or what a detector fell over: that is of what it was given, and nothing of the process."""
    watcher.read_with(patterns)
    try:
        return watcher.take(arrivals)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever one signal makes of a detector, the others are still seen)
        return error


def _title(ref: MonitorRef, confirmed: Iterable[Anomaly]) -> str:
    oddest = max(confirmed, key=lambda each: each.score)
    return f"{ref.service}: {oddest.reasons[0] if oddest.reasons else oddest.subject}"[:_TITLE]
