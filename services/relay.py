"""Hand over what the database has decided to tell the engine: at least once, in order of need, by one leader."""

import asyncio
import logging
import time
from datetime import timedelta

from domain.base import ExecutionId, IncidentId, OrgId, PipelineId, PlanId, RecoveryId, RequestId
from domain.errors import HealError, UnavailableError
from domain.identity import SwitchLevel
from domain.refs import IncidentRef, PlanRef, RecoveryRef, RequestRef, RunRef
from domain.trace import arrived, current_trace
from services.ports import Engine, Metrics
from storage import incidents, plans
from storage.engine import Database
from storage.outbox import Letter, Outbox, Post

_BATCH = 100
_POLL = timedelta(seconds=1)
_MEASURE = timedelta(seconds=5)
_LONGEST = timedelta(minutes=5)
_ANSWER_WITHIN = timedelta(seconds=5)
_WORKFLOWS = 10_000

log = logging.getLogger("suture.relay")


class Relay:
    def __init__(self, outbox: Outbox, database: Database, engine: Engine, *, metrics: Metrics | None = None) -> None:
        self._outbox = outbox
        self._database = database
        self._engine = engine
        self._metrics = metrics
        self._measure_at = 0.0
        self._written = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; a process that does not lead waits for its turn."""
        while True:
            try:
                async with self._outbox.lead() as leads:
                    if leads:
                        await self._deliver_all()
            except HealError as error:
                log.warning("relay interrupted", extra={"code": error.code})
            await asyncio.sleep(_POLL.total_seconds())

    async def deliver_due(self) -> int:
        """Deliver what is due now and say how much that was."""
        posts = await self._outbox.due(limit=_BATCH)
        async with asyncio.TaskGroup() as group:
            for post in posts:
                group.create_task(self._deliver(post))
        return len(posts)

    async def _deliver_all(self) -> None:
        async with self._outbox.listening(self._written.set):
            while True:
                self._written.clear()
                if await self.deliver_due() == _BATCH:
                    continue
                await self._measure()
                try:
                    async with asyncio.timeout(_POLL.total_seconds()):
                        await self._written.wait()
                except TimeoutError:
                    continue

    async def _measure(self) -> None:
        if self._metrics is not None and time.monotonic() >= self._measure_at:
            self._measure_at = time.monotonic() + _MEASURE.total_seconds()
            self._metrics.outbox_seen(*await self._outbox.waiting())

    async def _deliver(self, post: Post) -> None:
        current_trace.set(arrived({key: str(value) for key, value in post.payload.items()}, org=post.org))
        try:
            await self._hand_over(post)
        except UnavailableError as error:
            await self._outbox.postpone(post, by=_pause(post.attempts), reason=str(error))
        except HealError as error:
            log.info("letter refused", extra={"kind": post.kind, "code": error.code})
            await self._outbox.delivered(post)
        else:
            await self._outbox.delivered(post)

    async def _hand_over(self, post: Post) -> None:
        said = {key: str(value) for key, value in post.payload.items()}
        match post.kind:
            case Letter.START_RUN:
                pipeline, execution = PipelineId.of(said["pipeline"]), ExecutionId.of(said["execution"])
                await self._engine.start_run(RunRef(org=post.org, pipeline=pipeline, execution=execution))
            case Letter.WAKE_INCIDENT:
                ref = IncidentRef(org=post.org, id=IncidentId.of(said["incident"]))
                await self._engine.wake_incident(ref, said["carrier"])
            case Letter.WAKE:
                await self._engine.wake(said["workflow_id"])
            case Letter.CARRY_PLAN:
                await self._engine.carry_plan(PlanRef(org=post.org, id=PlanId.of(said["plan"])), said["carrier"])
            case Letter.START_RECOVERY:
                await self._engine.start_recovery(RecoveryRef(org=post.org, id=RecoveryId.of(said["recovery"])))
            case Letter.DECIDE:
                await self._decide(post, said)
            case Letter.STOPPED:
                await self._stop(post.org, SwitchLevel(said["level"]), said["subject"])

    async def _decide(self, post: Post, said: dict[str, str]) -> None:
        request = RequestRef(org=post.org, id=RequestId.of(said["request"]))
        if await self._engine.decide(said["workflow_id"], request, within=_ANSWER_WITHIN) is None:
            raise UnavailableError("nobody has answered the decision yet")

    async def _stop(self, org: OrgId, level: SwitchLevel, subject: str) -> None:
        """Wake every open workflow in the switch's scope; each reads the switch itself."""
        async with self._database.transaction(org) as session:
            service = subject if level is SwitchLevel.WORKFLOW else None
            carriers = await incidents.carriers_at_work(session, service=service, limit=_WORKFLOWS)
            carriers += await plans.carriers_at_work(session, limit=_WORKFLOWS)
        for workflow_id in dict.fromkeys(carriers):
            await self._engine.wake(workflow_id)


def _pause(attempts: int) -> timedelta:
    return min(timedelta(seconds=0.5) * (1 << min(attempts, 12)), _LONGEST)
