"""A run of a pipeline from its start to its end: what is done, what failed, what it waits for."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM, Actor
from domain.base import ExecutionId, Instant, PipelineId, Value
from domain.execution import (
    Attempt,
    AttemptKind,
    AttemptStatus,
    Execution,
    Failure,
    Healing,
    HealingState,
    RunStatus,
    RunTask,
    StageTask,
)
from domain.identity import Caller
from domain.incident import RESTING, Incident, Status
from domain.pipeline import PipelineSpec
from domain.refs import RunRef
from domain.resumption import Resumption, ResumptionOutcome
from services.guard import Guard
from services.intake import Intake, trace_id
from services.ledger import Ledger
from storage import executions as store
from storage import incidents, outbox, pipelines, remediations
from storage.engine import Database, new_id, now, repeatable
from storage.outbox import Letter

_FINAL_CODES = {
    "stopped": "a kill switch is engaged, or the org is not active",
    "forbidden": "workers that root did not start run the pipelines of the installation's first org alone",
    "abandoned": "a stage could neither be run nor asked about; see its attempts",
    "unserved": "no worker served the environment for as long as the run may wait to be healed",
}


class ExecutionView(Value):
    """An execution with the attempts at its stages, as people read it."""

    execution: Execution
    attempts: tuple[Attempt, ...]


class Runs:
    def __init__(self, database: Database, ledger: Ledger, guard: Guard, intake: Intake, *, lease: timedelta) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._intake = intake
        self._lease = lease

    async def start(self, caller: Caller, pipeline: PipelineId) -> Execution:
        """A run of the pipeline's current version; the engine starts it right after.

        Raises:
            NotFoundError, StoppedError, QuotaExceededError: nothing is started.
        """

        async def work(session: AsyncSession) -> Execution:
            found = await pipelines.get(session, pipeline)
            await self._guard.check_org_active(session, caller.org)
            await self._guard.check_workflow(session, caller.org, found.name)
            await self._guard.spend_quota(session, caller.org, "runs", 1)
            execution = Execution(
                id=ExecutionId.of(await new_id(session)),
                org=caller.org,
                pipeline=pipeline,
                status=RunStatus.PENDING,
                config_version=found.version,
                started_by=caller.id,
                trace_id=trace_id(),
            )
            await store.add(session, execution)
            await outbox.add(session, caller.org, Letter.START_RUN, _letter(execution))
            await self._enter(session, execution, "run.requested", Actor.calling(caller))
            return execution

        return await self._database.retrying(caller.org, work)

    @repeatable
    async def begin(self, ref: RunRef) -> RunTask:
        """What is left to do, from the first stage that is not done or from where a resumption says."""
        async with self._database.transaction(ref.org) as session:
            execution = await store.get_for_update(session, ref.execution)
            resumption = await _open_resumption(session, execution)
            version = resumption.config_version if resumption else execution.config_version
            spec = (await pipelines.version(session, execution.pipeline, version)).spec
            if execution.status.is_final:
                return self._task(spec, cursor=0, is_over=True)
            if execution.status is RunStatus.WAITING and resumption is None:
                return self._task(spec, cursor=0, is_waiting=True)
            cursor = _first_not_done(spec, await _done(session, ref))
            if resumption is not None:
                cursor = min(cursor, _index(spec, resumption.from_stage))
            changes = {"status": RunStatus.RUNNING, "config_version": version}
            await store.change(session, ref.execution, **changes, started_at=execution.started_at or True)
            await self._enter(session, execution, "run.resumed" if resumption else "run.started", SYSTEM)
            return self._task(spec, cursor=cursor)

    @repeatable
    async def fail(self, failure: Failure) -> None:
        """Note the failed stage in an incident: the run waits there for its healing, or has failed for good."""
        async with self._database.transaction(failure.ref.org) as session:
            execution = await store.get_for_update(session, failure.ref.execution)
            if execution.status is not RunStatus.RUNNING:
                return
            if failure.error_code in _FINAL_CODES:
                await self._end_at(session, execution, failure)
            else:
                await self._wait(session, execution, failure)

    @repeatable
    async def finish(self, ref: RunRef) -> None:
        async with self._database.transaction(ref.org) as session:
            execution = await store.get_for_update(session, ref.execution)
            if not execution.status.is_final:
                await self._end(session, execution, RunStatus.SUCCEEDED, None, None)

    @repeatable
    async def cancel(self, ref: RunRef) -> None:
        """Nobody waits for the run any more; what resumed it learns that this brought nothing."""
        async with self._database.transaction(ref.org) as session:
            execution = await store.get_for_update(session, ref.execution)
            if execution.status.is_final:
                return
            await _end_in_vain(session, execution)
            await self._end(session, execution, RunStatus.CANCELLED, "cancelled", "the run was cancelled")
            await self._leave(session, execution)

    @repeatable
    async def abandon(self, ref: RunRef) -> None:
        """The run cannot go on, and no retry would change that; a person can replay it from where it stands."""
        async with self._database.transaction(ref.org) as session:
            execution = await store.get_for_update(session, ref.execution)
            if not execution.status.is_final:
                stage = await self._stands_at(session, execution)
                await self._end_at(session, execution, Failure(ref=ref, stage=stage, error_code="abandoned"))

    @repeatable
    async def healing(self, ref: RunRef) -> Healing:
        """Whether the run may go on, waits on, or is over, by what the rows and the database's clock say."""
        async with self._database.transaction(ref.org) as session:
            execution = await store.get_for_update(session, ref.execution)
            if execution.status.is_final:
                return Healing(state=HealingState.OVER)
            if await _open_resumption(session, execution):
                return Healing(state=HealingState.RESUME)
            if reason := await self._hopeless(session, execution):
                await self._give_up(session, execution, reason)
                return Healing(state=HealingState.OVER)
            left = (execution.heal_by or await self._give_time(session, execution)) - await now(session)
            return Healing(state=HealingState.WAITING, look_again_in=max(left, timedelta(seconds=1)))

    async def get(self, caller: Caller, execution: ExecutionId) -> ExecutionView:
        async with self._database.transaction(caller.org) as session:
            found = await store.get(session, execution)
            return ExecutionView(execution=found, attempts=tuple(await store.attempts(session, execution)))

    async def page(
        self, caller: Caller, *, pipeline: PipelineId | None, status: RunStatus | None, after: UUID | None, limit: int
    ) -> list[Execution]:
        async with self._database.transaction(caller.org) as session:
            return await store.page(session, pipeline=pipeline, status=status, after=after, limit=limit)

    def _task(self, spec: PipelineSpec, *, cursor: int, is_over: bool = False, is_waiting: bool = False) -> RunTask:
        stages = tuple(
            StageTask(name=each.name, timeout=each.timeout, attempts=each.retry.attempts, backoff=each.retry.backoff)
            for each in spec.order
        )
        return RunTask(
            environment=spec.environment,
            stages=stages,
            cursor=cursor,
            lease=self._lease,
            heal_within=spec.heal_within,
            is_over=is_over,
            is_waiting=is_waiting,
        )

    async def _end_at(self, session: AsyncSession, execution: Execution, failure: Failure) -> None:
        """End the run at this stage, so that it can be replayed from there.

        Its incident is over at once: nothing waits to be healed, and a replay must not meet an end that is still to come.
        """
        message = _FINAL_CODES[failure.error_code]
        spec = (await pipelines.version(session, execution.pipeline, execution.config_version)).spec
        incident = await self._intake.report_failure(
            session, execution, spec, stage=failure.stage, error_code=failure.error_code, message=message
        )
        await _end_in_vain(session, execution)
        await store.change(session, execution.id, failed_stage=failure.stage, incident_id=incident.id)
        await self._end(session, execution, RunStatus.FAILED, failure.error_code, message)
        await self._close(session, incident, Status.NEEDS_HUMAN)
        await self._leave(session, execution)

    async def _stands_at(self, session: AsyncSession, execution: Execution) -> str:
        """The stage that a run waits at or goes on at, or else the one that its last attempt leads to."""
        if execution.status is RunStatus.WAITING and execution.failed_stage is not None:
            return execution.failed_stage
        spec = (await pipelines.version(session, execution.pipeline, execution.config_version)).spec
        resumption = await _open_resumption(session, execution)
        attempts = await store.attempts_without_output(session, execution.id)
        start = resumption.from_stage if resumption else spec.order[0].name
        return _next_stage(spec, _since(resumption, attempts), start=start)

    async def _wait(self, session: AsyncSession, execution: Execution, failure: Failure) -> None:
        spec = (await pipelines.version(session, execution.pipeline, execution.config_version)).spec
        message = await _last_words(session, failure)
        incident = await self._intake.report_failure(
            session, execution, spec, stage=failure.stage, error_code=failure.error_code, message=message
        )
        await _end_in_vain(session, execution)
        heal_by = execution.heal_by or await now(session) + spec.heal_within
        await store.change(
            session,
            execution.id,
            status=RunStatus.WAITING,
            failed_stage=failure.stage,
            incident_id=incident.id,
            heal_by=heal_by,
            error_code=failure.error_code,
            error_message=message[-1_000:],
        )

    async def _hopeless(self, session: AsyncSession, execution: Execution) -> str | None:
        """Why nobody will heal this run, if that is so."""
        if execution.heal_by is not None and execution.heal_by <= await now(session):
            return "nobody healed the run in time"
        if execution.incident is None:
            return None
        incident = await incidents.get(session, execution.incident)
        return f"the incident ended as {incident.status}" if incident.ended_at is not None else None

    async def _give_time(self, session: AsyncSession, execution: Execution) -> Instant:
        """A run that waits without an end gets one."""
        spec = (await pipelines.version(session, execution.pipeline, execution.config_version)).spec
        heal_by = await now(session) + spec.heal_within
        await store.change(session, execution.id, heal_by=heal_by)
        return heal_by

    async def _give_up(self, session: AsyncSession, execution: Execution, reason: str) -> None:
        await self._end(session, execution, RunStatus.FAILED, execution.error_code or "failed", reason)
        await self._leave(session, execution)

    async def _leave(self, session: AsyncSession, execution: Execution) -> None:
        """An incident at rest for which no run waits any more is over."""
        if execution.incident is None:
            return
        incident = await incidents.get_for_update(session, execution.incident)
        is_over = incident.ended_at is not None
        if not is_over and incident.status in RESTING and not await store.waiting_on(session, incident.id):
            await self._close(session, incident, incident.status)

    async def _close(self, session: AsyncSession, incident: Incident, status: Status) -> None:
        await incidents.move(session, incident, status, ended=True)
        await self._ledger.append(
            session,
            incident.org,
            "incident.ended",
            actor=SYSTEM,
            resource_type="incident",
            resource_id=incident.id.shown,
            before={"status": incident.status},
            after={"status": status},
            incident=incident.id,
        )

    async def _end(
        self, session: AsyncSession, execution: Execution, status: RunStatus, code: str | None, message: str | None
    ) -> None:
        await store.change(session, execution.id, status=status, finished_at=True, error_code=code, error_message=message)
        await self._enter(session, execution, f"run.{status}", SYSTEM)

    async def _enter(self, session: AsyncSession, execution: Execution, action: str, actor: Actor) -> None:
        await self._ledger.append(
            session,
            execution.org,
            action,
            actor=actor,
            resource_type="execution",
            resource_id=execution.id.shown,
            after={"config_version": execution.config_version},
            incident=execution.incident,
        )


async def end_resumption(
    session: AsyncSession, execution: Execution, resumption: Resumption, outcome: ResumptionOutcome
) -> None:
    """Store what came of going on, and let whoever waits for it know."""
    await remediations.finish_resumption(session, resumption.id, outcome)
    if resumption.plan is not None:
        await outbox.add(session, execution.org, Letter.WAKE, {"workflow_id": f"fix/{execution.org}/{resumption.plan}"})


async def _open_resumption(session: AsyncSession, execution: Execution) -> Resumption | None:
    return await remediations.open_resumption(session, execution.id)


async def _end_in_vain(session: AsyncSession, execution: Execution) -> None:
    """What resumed the run learns that this brought nothing."""
    if (resumption := await _open_resumption(session, execution)) is not None:
        await end_resumption(session, execution, resumption, ResumptionOutcome.FAILED)


async def _done(session: AsyncSession, ref: RunRef) -> frozenset[str]:
    attempts = await store.attempts_without_output(session, ref.execution)
    kinds = (AttemptKind.RUN, AttemptKind.PROBE)
    return frozenset(each.stage for each in attempts if each.status is AttemptStatus.PASSED and each.kind in kinds)


async def _last_words(session: AsyncSession, failure: Failure) -> str:
    attempts = await store.attempts(session, failure.ref.execution, failure.stage)
    said = [each.said for each in attempts if each.kind is not AttemptKind.DRY_RUN and each.said]
    return said[-1] if said else failure.error_code


def _first_not_done(spec: PipelineSpec, done: frozenset[str]) -> int:
    return next((at for at, stage in enumerate(spec.order) if stage.name not in done), len(spec.order))


def _since(resumption: Resumption | None, attempts: list[Attempt]) -> list[Attempt]:
    """The attempts at the stages themselves, and at their probes, since the run last went on."""
    began = resumption.created_at if resumption else None
    tried = [each for each in attempts if each.kind is not AttemptKind.DRY_RUN]
    return [each for each in tried if began is None or (each.created_at is not None and each.created_at >= began)]


def _next_stage(spec: PipelineSpec, attempts: list[Attempt], *, start: str) -> str:
    """The stage of the latest attempt, the one after it where that passed, or `start` where there is none."""
    if not attempts:
        return start
    at = _index(spec, attempts[-1].stage) + (attempts[-1].status is AttemptStatus.PASSED)
    return spec.order[min(at, len(spec.order) - 1)].name


def _index(spec: PipelineSpec, stage: str) -> int:
    """Where `stage` stands; a version without it is run from its beginning."""
    return next((at for at, each in enumerate(spec.order) if each.name == stage), 0)


def _letter(execution: Execution) -> dict[str, str]:
    return {"pipeline": execution.pipeline.shown, "execution": execution.id.shown}
