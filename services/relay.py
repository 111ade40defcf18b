"""Hand over what the database has decided to tell the engine: at least once, in order of need, by one leader."""

import asyncio
import logging
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from domain.actor import Actor
from domain.base import ConnectorId, ExecutionId, IncidentId, OrgId, PipelineId, PlanId, RecoveryId, RequestId
from domain.errors import HealError, UnavailableError
from domain.identity import SwitchLevel
from domain.refs import FeedRef, IncidentRef, MonitorRef, PlanRef, RecoveryRef, RequestRef, RunRef
from domain.trace import arrived, current_trace
from services.ledger import Ledger
from services.plan_entries import note_refusal_once
from services.ports import Engine, Metrics
from storage import incidents, plans
from storage.engine import Database
from storage.leader import Lead
from storage.outbox import CHANNEL, Letter, Outbox, Post

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

_POLL = timedelta(seconds=1)
_MEASURE = timedelta(seconds=5)
_LONGEST = timedelta(minutes=5)
_ANSWER_WITHIN = timedelta(seconds=5)
_WORKFLOWS = 10_000
_TRIES = 3
"""Of a letter whose delivery fails in a way that nobody expects; for an engine that is away it waits as long as it takes."""

RELAY = Actor.part("relay")

log = logging.getLogger("suture.relay")


class Lane:
    """Letters that may wait for each other, and for no other lane's: so many at a time.

    `tried`: only those that were tried in vain before, or only those that were not.
    """

    def __init__(self, *kinds: Letter, hands: int, tried: bool | None = None) -> None:
        self.kinds = frozenset(kinds)
        self.hands = hands
        self.tried = tried
        self.held: dict[UUID, asyncio.Task[None]] = {}

    @property
    def free(self) -> int:
        return self.hands - len(self.held)


def _lanes() -> tuple[Lane, ...]:
    stops, slow = Lane(Letter.STOPPED, hands=4), Lane(Letter.DECIDE, hands=8)
    quick = set(Letter) - stops.kinds - slow.kinds
    return stops, Lane(*quick, hands=16, tried=False), Lane(*quick, hands=8, tried=True), slow


class Relay:
    def __init__(
        self, outbox: Outbox, database: Database, engine: Engine, ledger: Ledger, *, metrics: Metrics | None = None
    ) -> None:
        self._outbox = outbox
        self._database = database
        self._engine = engine
        self._ledger = ledger
        self._metrics = metrics
        self._measure_at = 0.0
        self._lanes = _lanes()
        self._stirred = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; a process that does not lead waits for its turn, and a lost database ends nothing."""
        while True:
            try:
                async with self._outbox.lead() as lead:
                    if lead is not None:
                        await self._deliver_all(lead)
            except HealError as error:
                log.warning("relay interrupted", extra={"code": error.code})
            await asyncio.sleep(_POLL.total_seconds())

    async def _deliver_all(self, lead: Lead) -> None:
        await lead.hear(CHANNEL, self._stirred.set)
        try:
            while True:
                lead.check()
                self._stirred.clear()
                for lane in self._lanes:
                    await self._take_up(lane)
                await self._measure()
                await self._wait()
        finally:
            await self._drop()
            self._measure_no_more()

    async def _take_up(self, lane: Lane) -> None:
        """Begin to deliver what is due, as far as hands are free."""
        if not lane.free:
            return
        for post in await self._outbox.due(lane.kinds, tried=lane.tried, besides=lane.held, limit=lane.free):
            task = asyncio.create_task(self._deliver(post))
            lane.held[post.id] = task
            task.add_done_callback(partial(self._ended, lane, post))

    def _ended(self, lane: Lane, post: Post, task: asyncio.Task[None]) -> None:
        if not lane.free:
            self._stirred.set()  # more of them may be due than there were hands
        lane.held.pop(post.id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("letter is broken", extra={"kind": post.kind, "letter": str(post.id)}, exc_info=error)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_POLL.total_seconds()):
                await self._stirred.wait()
        except TimeoutError:
            return

    async def _drop(self) -> None:
        """What is not delivered by now stays in the outbox, for whoever leads next."""
        held = [task for lane in self._lanes for task in lane.held.values()]
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)

    async def _measure(self) -> None:
        if self._metrics is not None and time.monotonic() >= self._measure_at:
            self._measure_at = time.monotonic() + _MEASURE.total_seconds()
            self._metrics.outbox_seen(*await self._outbox.waiting())

    def _measure_no_more(self) -> None:
        """Whoever leads next says what waits."""
        if self._metrics is not None:
            self._measure_at = 0.0
            self._metrics.outbox_seen(0, timedelta(0))

    async def _deliver(self, post: Post) -> None:
        current_trace.set(arrived({key: str(value) for key, value in post.payload.items()}, org=post.org))
        try:
            await self._tell(post)
        except UnavailableError as error:
            log.warning("letter not accounted for; it is delivered again", extra={"kind": post.kind, "code": error.code})

    async def _tell(self, post: Post) -> None:
        try:
            await self._hand_over(post)
        except UnavailableError as error:
            await self._outbox.postpone(post, by=_pause(post.attempts), reason=str(error))
        except HealError as error:
            log.info("letter refused", extra={"kind": post.kind, "code": error.code})
            await self._note_refusal(post, error)
            await self._outbox.delivered(post)
        except Exception as error:
            await self._try_again_or_lay_aside(post, reason=type(error).__name__)
            raise
        else:
            await self._outbox.delivered(post)

    async def _try_again_or_lay_aside(self, post: Post, *, reason: str) -> None:
        """What nobody expected may come once; what comes each time is no letter that can be delivered."""
        if post.attempts + 1 < _TRIES:
            await self._outbox.postpone(post, by=_pause(post.attempts), reason=reason)
            return
        await self._database.retrying(post.org, lambda session: self._enter_dead_letter(session, post, reason))
        await self._outbox.lay_aside(post, reason=reason)

    async def _enter_dead_letter(self, session: "AsyncSession", post: Post, reason: str) -> None:
        await self._ledger.append(
            session,
            post.org,
            "letter.laid_aside",
            actor=RELAY,
            resource_type="letter",
            resource_id=str(post.id),
            after={"kind": str(post.kind), "tries": post.attempts + 1, "reason": reason},
        )

    async def _hand_over(self, post: Post) -> None:
        said = {key: str(value) for key, value in post.payload.items()}
        match post.kind:
            case Letter.START_RUN:
                pipeline, execution = PipelineId.of(said["pipeline"]), ExecutionId.of(said["execution"])
                await self._engine.start_run(RunRef(org=post.org, pipeline=pipeline, execution=execution))
            case Letter.WAKE_INCIDENT:
                incident = IncidentRef(org=post.org, id=IncidentId.of(said["incident"]))
                await self._engine.wake_incident(incident, said["carrier"])
            case Letter.WAKE_MONITOR:
                monitor = MonitorRef(org=post.org, environment=said["environment"], service=said["service"])
                await self._engine.wake_monitor(monitor)
            case Letter.WAKE_FEED:
                await self._engine.wake_feed(FeedRef(org=post.org, connector=ConnectorId.of(said["connector"])))
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

    async def _note_refusal(self, post: Post, refusal: HealError) -> None:
        """Whoever decided was told that it may still count: the audit log says that it did not."""
        if post.kind is Letter.DECIDE:
            request = RequestRef(org=post.org, id=RequestId.of(str(post.payload["request"])))
            await note_refusal_once(self._database, self._ledger, request, refusal)

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
