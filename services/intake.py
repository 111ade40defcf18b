"""Take in what was observed: guard, deduplicate, redact, append, open or join an incident, all in one transaction."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM, Actor
from domain.base import IncidentId, OrgId, SignalId, Value, WorkflowId
from domain.errors import NotFoundError, QuotaExceededError, StoppedError
from domain.execution import Execution
from domain.identity import NARROW_QUOTAS, Caller
from domain.incident import Incident
from domain.pipeline import PipelineSpec
from domain.signal import Signal, SignalKind, signature
from domain.trace import current_trace
from services.admission import Admission
from services.guard import Guard
from services.ledger import Ledger
from services.lots import Lot, lot_of
from services.opening import Breakage, open_incident
from services.redacting import Redacting
from services.suspecting import wake_monitors
from storage import identity as identities
from storage import signals
from storage.engine import Database, new_id, new_ids

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one item.

    `stored` the first time, `duplicate` when its key was known, `counted` when another one of the batch stands for it: that
    one was stored as `event_id`, and says how many it stands for.
    """

    event_id: SignalId
    status: str
    incident_id: IncidentId | None = None


class Refusal(Value):
    """Why one item of a batch was not taken; `pointer` says what of it."""

    code: str
    message: str
    pointer: str = ""


class Intake:
    def __init__(self, database: Database, ledger: Ledger, guard: Guard, redacting: Redacting, admission: Admission) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._redacting = redacting
        self._admission = admission

    async def ingest(self, caller: Caller, batch: Sequence[Signal]) -> tuple[Received | Refusal, ...]:
        """As `receive`, but an item whose workflow is unknown or stopped is refused alone.

        Raises:
            QuotaExceededError, OverloadedError, UnavailableError: nothing is stored.
        """

        async def work(session: AsyncSession) -> tuple[Received | Refusal, ...]:
            return await self.store(session, caller.org, lot, actor=Actor.calling(caller))

        with self.place():
            lot = await self.ready(caller.org, batch)
            return await self.in_turn(caller.org, work)

    async def receive(self, caller: Caller, batch: Sequence[Signal]) -> tuple[Received, ...]:
        """Store a batch: every item is durable when this returns.

        Raises:
            StoppedError, NotFoundError, QuotaExceededError, OverloadedError, UnavailableError: nothing is stored.
        """

        async def work(session: AsyncSession) -> tuple[Received, ...]:
            await self._guard.check_org_active(session, caller.org)
            for workflow in _workflows(lot.signals):
                await self._guard.check_workflow(session, caller.org, workflow)
            for refusal in (await self._exceeded(session, caller.org, dict(enumerate(lot.items)))).values():
                raise QuotaExceededError(refusal.message)
            return await self._take(session, caller.org, lot, range(len(batch)), Actor.calling(caller))

        with self.place():
            lot = await self.ready(caller.org, batch)
            return await self.in_turn(caller.org, work)

    def place(self) -> AbstractContextManager[None]:
        """For the time that a batch is in work.

        Raises:
            OverloadedError: there is none; nothing was done.
        """
        return self._admission.place()

    async def in_turn(self, org: OrgId, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run `work` in a transaction of its own, which may be repeated, when the batches before have had theirs."""
        async with self._admission.turn():
            return await self._database.retrying(org, work)

    async def ready(self, org: OrgId, batch: Sequence[Signal]) -> Lot:
        """As it is stored, folded in a storm; before the transaction, whose locks are not for the time this takes, and beside
        the loop."""
        redactor = await self._redacting.of(org)
        return await asyncio.to_thread(lot_of, batch, redactor, is_folded=self._admission.is_stormy)

    async def store(self, session: AsyncSession, org: OrgId, lot: Lot, *, actor: Actor) -> tuple[Received | Refusal, ...]:
        """As `ingest`, in the caller's transaction and for whoever `actor` is."""
        await self._guard.check_org_active(session, org)
        items = lot.items
        refusals = await self._refusals(session, org, items)
        taken = [number for number in range(len(items)) if number not in refusals]
        answers = iter(await self._take(session, org, lot, taken, actor) if taken else ())
        return tuple(refusals[number] if number in refusals else next(answers) for number in range(len(items)))

    async def report_failure(
        self, session: AsyncSession, execution: Execution, spec: PipelineSpec, *, stage: str, error_code: str, message: str
    ) -> Incident:
        """A failed stage of our own becomes a signal and opens its incident, or joins the open one, which stays locked."""
        org, workflow = execution.org, WorkflowId(int=execution.pipeline.int)
        mark = signature(org=org, service=spec.pipeline, error_code=f"{stage}:{error_code}", workflow=spec.pipeline)
        broken = Breakage(
            signature=mark,
            title=f"{spec.pipeline}: stage {stage} failed ({error_code})",
            service=spec.pipeline,
            environment=await identities.environment(session, spec.environment),
            workflow=workflow,
            known={"execution": execution.id.shown, "stage": stage, "error_code": error_code},
        )
        incident = await open_incident(session, self._ledger, org, broken, actor=SYSTEM)
        await self._append_failure(session, execution, spec, incident, stage=stage, error_code=error_code, message=message)
        return incident

    async def get(self, caller: Caller, signal: SignalId) -> Signal:
        """Raises NotFoundError: no such signal in the org."""
        async with self._database.transaction(caller.org) as session:
            return await signals.get(session, signal)

    async def page(
        self,
        caller: Caller,
        *,
        workflow: WorkflowId | None,
        incident: IncidentId | None,
        after: SignalId | None,
        limit: int,
    ) -> list[Signal]:
        """Signals, the newest first."""
        async with self._database.transaction(caller.org) as session:
            return await signals.page(session, workflow=workflow, incident=incident, after=after, limit=limit)

    async def _append_failure(
        self,
        session: AsyncSession,
        execution: Execution,
        spec: PipelineSpec,
        incident: Incident,
        *,
        stage: str,
        error_code: str,
        message: str,
    ) -> None:
        signal = Signal(
            source="suture",
            kind=SignalKind.EXECUTION,
            ts=incident.last_seen_at,
            event_type="stage.failed",
            key=f"{spec.pipeline}/{stage}",
            text=message[-8_000:],
            service=spec.pipeline,
            environment=spec.environment,
            severity="error",
            workflow_id=WorkflowId(int=execution.pipeline.int),
            incident_id=incident.id,
            trace_id=execution.trace_id,
            payload={"execution": execution.id.shown, "stage": stage, "error_code": error_code},
        )
        redactor = await self._redacting.within(session, execution.org)
        [fit] = (await asyncio.to_thread(lot_of, [signal], redactor, is_folded=False)).signals
        await signals.add(session, execution.org, {SignalId.of(await new_id(session)): fit})

    async def _refusals(self, session: AsyncSession, org: OrgId, items: Sequence[Signal]) -> dict[int, Refusal]:
        """By the item's number: its workflow is unknown or stopped, or it or its source sends more than it may."""
        stopped: dict[WorkflowId | None, Refusal] = {}
        for workflow in _workflows(items):
            try:
                await self._guard.check_workflow(session, org, workflow)
            except (NotFoundError, StoppedError) as error:
                stopped[workflow] = Refusal(code=error.code, message=str(error), pointer="/workflow_id")
        refused = {number: stopped[each.workflow_id] for number, each in enumerate(items) if each.workflow_id in stopped}
        others = {number: each for number, each in enumerate(items) if number not in refused}
        return refused | await self._exceeded(session, org, others)

    async def _exceeded(self, session: AsyncSession, org: OrgId, items: Mapping[int, Signal]) -> dict[int, Refusal]:
        names = {number: _quotas_of(each) for number, each in items.items()}
        exceeded = await self._guard.spend_narrow(session, org, Counter(chain.from_iterable(names.values())))
        over = {number: exceeded.keys() & own for number, own in names.items()}
        return {number: _too_many(min(found), exceeded) for number, found in over.items() if found}

    async def _take(
        self, session: AsyncSession, org: OrgId, lot: Lot, taken: Sequence[int], actor: Actor
    ) -> tuple[Received, ...]:
        """Those items of the lot that are taken.

        What the org's batches wait for each other for, its quota and its ledger, comes last.
        """
        allowed = await self._guard.check_quota(session, "signals", len(taken))
        received = await self._store(session, org, lot, taken)
        await self._guard.spend_quota(session, org, "signals", len(taken), allowed=allowed)
        await self._enter(session, org, actor, received)
        return received

    async def _store(self, session: AsyncSession, org: OrgId, lot: Lot, taken: Sequence[int]) -> tuple[Received, ...]:
        places = dict.fromkeys(lot.places[number] for number in taken)
        own = {place: SignalId.of(fresh) for place, fresh in zip(places, await new_ids(session, len(places)), strict=True)}
        wanted: dict[str, SignalId] = {}
        for number in taken:
            if (key := lot.keys[number]) is not None:
                wanted.setdefault(key, own[lot.places[number]])
        known = await signals.claim_keys(session, org, wanted) if wanted else {}
        received = _told(lot, taken, own, known)
        fresh = Counter(each.event_id for each in received if each.status != "duplicate")
        stored = {mine: _standing_for(lot.signals[place], fresh[mine]) for place, mine in own.items() if fresh[mine]}
        if stored:
            await signals.add(session, org, stored)
            await wake_monitors(session, org, _services(stored.values()))
        return received

    async def _enter(self, session: AsyncSession, org: OrgId, actor: Actor, received: Sequence[Received]) -> None:
        stored = [each.event_id.shown for each in received if each.status != "duplicate"]
        if stored:
            await self._ledger.append(
                session,
                org,
                "signals.received",
                actor=actor,
                resource_type="signal",
                resource_id=stored[0],
                after={"count": len(stored), "first": stored[0], "last": stored[-1]},
            )


def _told(lot: Lot, taken: Iterable[int], own: Mapping[int, SignalId], known: Mapping[str, SignalId]) -> tuple[Received, ...]:
    """What became of each, once it is known which signal holds each key."""
    told: list[Received] = []
    claimed: set[str] = set()
    standing: set[SignalId] = set()
    for number in taken:
        key, mine = lot.keys[number], own[lot.places[number]]
        holder = mine if key is None else known[key]
        if holder != mine or key in claimed:
            told.append(Received(event_id=holder, status="duplicate"))
            continue
        told.append(Received(event_id=mine, status="counted" if mine in standing else "stored"))
        standing.add(mine)
        if key is not None:
            claimed.add(key)
    return tuple(told)


def _standing_for(signal: Signal, count: int) -> Signal:
    return signal if count == 1 else signal.model_copy(update={"count": count})


def _services(batch: Iterable[Signal]) -> set[tuple[str, str]]:
    """Whatever names its environment and service is watched."""
    return {(each.environment, each.service) for each in batch if each.environment and each.service}


def _workflows(items: Iterable[Signal]) -> list[WorkflowId]:
    return list(dict.fromkeys(each.workflow_id for each in items if each.workflow_id))


def _quotas_of(signal: Signal) -> tuple[str, ...]:
    of_workflow, of_vendor = NARROW_QUOTAS
    vendor = f"{of_vendor}{signal.source}"
    return (f"{of_workflow}{signal.workflow_id.shown}", vendor) if signal.workflow_id else (vendor,)


def _too_many(name: str, exceeded: Mapping[str, int]) -> Refusal:
    return Refusal(
        code=QuotaExceededError.code, message=f"the quota {name} is {exceeded[name]} per minute; try again in the next one"
    )


def trace_id() -> str | None:
    trace = current_trace.get()
    return trace.trace_id if trace else None
