"""Take in what was observed: guard, deduplicate, redact, append, open or join an incident, all in one transaction."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM, Actor
from domain.base import IncidentId, OrgId, SignalId, Value, WorkflowId
from domain.errors import NotFoundError, StoppedError
from domain.execution import Execution
from domain.identity import Caller
from domain.incident import Incident
from domain.pipeline import PipelineSpec
from domain.signal import Signal, SignalKind, signature
from domain.trace import current_trace
from services.guard import Guard
from services.ledger import Ledger
from services.opening import Breakage, open_incident
from services.ports import Redactor, Redactors
from services.suspecting import wake_monitors
from storage import identity as identities
from storage import signals
from storage.engine import Database, new_id, new_ids

_WORDS = ("source", "key", "event_type", "service", "environment", "severity", "correlation_id", "trace_id")
_SHORT, _LONG = 255, 65_536  # what a signal's labels and text may be at most


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one item: `stored` the first time, `duplicate` when its key was known."""

    event_id: SignalId
    status: str
    incident_id: IncidentId | None = None


class Refusal(Value):
    """Why one item of a batch was not taken."""

    code: str
    message: str


class Intake:
    def __init__(self, database: Database, ledger: Ledger, guard: Guard, redactors: Redactors) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._redactors = redactors

    async def ingest(self, caller: Caller, batch: Sequence[Signal]) -> tuple[Received | Refusal, ...]:
        """As `receive`, but an item whose workflow is unknown or stopped is refused alone.

        Raises:
            QuotaExceededError, UnavailableError: nothing is stored.
        """

        async def work(session: AsyncSession) -> tuple[Received | Refusal, ...]:
            return await self.store(session, caller.org, fit, actor=Actor.calling(caller))

        fit = await self.redacted(caller.org, batch)
        return await self._database.retrying(caller.org, work)

    async def receive(self, caller: Caller, batch: Sequence[Signal]) -> tuple[Received, ...]:
        """Store a batch: every item is durable when this returns.

        Raises:
            StoppedError, NotFoundError, QuotaExceededError, UnavailableError: nothing is stored.
        """

        async def work(session: AsyncSession) -> tuple[Received, ...]:
            await self._guard.check_org_active(session, caller.org)
            for workflow in _workflows(fit):
                await self._guard.check_workflow(session, caller.org, workflow)
            return await self._take(session, caller.org, fit, Actor.calling(caller))

        fit = await self.redacted(caller.org, batch)
        return await self._database.retrying(caller.org, work)

    async def store(
        self, session: AsyncSession, org: OrgId, batch: Sequence[Signal], *, actor: Actor
    ) -> tuple[Received | Refusal, ...]:
        """As `ingest`, of what is redacted already, in the caller's transaction and for whoever `actor` is."""
        await self._guard.check_org_active(session, org)
        refusals = await self._refusals(session, org, batch)
        taken = [each for each in batch if each.workflow_id not in refusals]
        answers = iter(await self._take(session, org, taken, actor) if taken else ())
        return tuple(refusals[each.workflow_id] if each.workflow_id in refusals else next(answers) for each in batch)

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
        [fit] = await self.redacted(execution.org, [signal])
        await signals.add(session, execution.org, {SignalId.of(await new_id(session)): fit})

    async def _refusals(self, session: AsyncSession, org: OrgId, batch: Sequence[Signal]) -> dict[WorkflowId | None, Refusal]:
        refusals: dict[WorkflowId | None, Refusal] = {}
        for workflow in _workflows(batch):
            try:
                await self._guard.check_workflow(session, org, workflow)
            except (NotFoundError, StoppedError) as error:
                refusals[workflow] = Refusal(code=error.code, message=str(error))
        return refusals

    async def _take(self, session: AsyncSession, org: OrgId, batch: Sequence[Signal], actor: Actor) -> tuple[Received, ...]:
        await self._guard.spend_quota(session, org, "signals", len(batch))
        received = await self._store(session, org, batch)
        await self._enter(session, org, actor, received)
        return received

    async def _store(self, session: AsyncSession, org: OrgId, batch: Sequence[Signal]) -> tuple[Received, ...]:
        own = [SignalId.of(fresh) for fresh in await new_ids(session, len(batch))]
        wanted: dict[str, SignalId] = {}
        for each, mine in zip(batch, own, strict=True):
            if each.idempotency_key is not None:
                wanted.setdefault(each.idempotency_key, mine)
        known = await signals.claim_keys(session, org, wanted) if wanted else {}
        holders = [
            mine if each.idempotency_key is None else known[each.idempotency_key] for each, mine in zip(batch, own, strict=True)
        ]
        fresh = {mine: each for each, mine, holder in zip(batch, own, holders, strict=True) if holder == mine}
        if fresh:
            await signals.add(session, org, fresh)
            await wake_monitors(session, org, _services(fresh.values()))
        return tuple(
            Received(event_id=holder, status="stored" if holder == mine else "duplicate")
            for mine, holder in zip(own, holders, strict=True)
        )

    async def redacted(self, org: OrgId, batch: Sequence[Signal]) -> list[Signal]:
        """As they are stored; before the transaction, whose locks are not for the time this takes, and beside the loop."""
        redactor = self._redactors.of(org)
        word = cache(redactor.text)  # a batch says the same names again and again
        return await asyncio.to_thread(lambda: [_redacted(each, redactor, word) for each in batch])

    async def _enter(self, session: AsyncSession, org: OrgId, actor: Actor, received: Sequence[Received]) -> None:
        stored = [each.event_id.shown for each in received if each.status == "stored"]
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


def _redacted(signal: Signal, redactor: Redactor, word: Callable[[str], str]) -> Signal:
    """A mark may be longer than what it hides, so each text is cut to its length again."""
    words = {name: said and word(said)[:_SHORT] for name in _WORDS if (said := getattr(signal, name)) is not None}
    return signal.model_copy(
        update=words
        | {
            "idempotency_key": signal.idempotency_key and _own(signal.idempotency_key, redactor),
            "text": signal.text and redactor.text(signal.text)[:_LONG],
            "labels": {name[:_SHORT]: str(value)[:_SHORT] for name, value in redactor.content(signal.labels).items()},
            "payload": redactor.content(signal.payload),
            "meta": redactor.content(signal.meta),
        }
    )


def _own(key: str, redactor: Redactor) -> str:
    """A key that holds a secret tells signals apart by its digest alone."""
    return key if redactor.text(key) == key else hashlib.sha256(key.encode()).hexdigest()


def _services(batch: Iterable[Signal]) -> set[tuple[str, str]]:
    """Whatever names its environment and service is watched."""
    return {(each.environment, each.service) for each in batch if each.environment and each.service}


def _workflows(batch: Sequence[Signal]) -> list[WorkflowId]:
    return list(dict.fromkeys(each.workflow_id for each in batch if each.workflow_id))


def trace_id() -> str | None:
    trace = current_trace.get()
    return trace.trace_id if trace else None
