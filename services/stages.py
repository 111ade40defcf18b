"""Run one stage on this worker: intent, effect, receipt; and find out what a lost worker has left."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from math import ceil
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actions import RUN_STAGE
from domain.actor import SYSTEM
from domain.base import Value
from domain.errors import ForbiddenError, InvalidError, LeaseLostError, NotFoundError, StoppedError, UnavailableError
from domain.execution import Attempt, AttemptKind, AttemptStatus, Execution, Tried
from domain.identity import SwitchScope
from domain.pipeline import StageSpec, step_version, used_config
from domain.refs import StageRef
from domain.resumption import ResumptionOutcome
from domain.stage import Effect, Outcome, ProbeAnswer, StageCommand, StageResult, SupervisorHandle
from domain.versions import ConfigVersion
from services.guard import Guard
from services.leases import kept
from services.ledger import Ledger
from services.patience import insist
from services.ports import Host, StageProcess
from services.runs import end_resumption
from services.secrets import Secrets
from storage import executions as store
from storage import pipelines, remediations
from storage.engine import Database, now, repeatable

_KILL_GRACE = timedelta(seconds=5)
_TOLD_WITHIN = timedelta(minutes=10)  # the engine, where it answers, waits for less than that
_PROBES = 3
_NOT_DONE = 3  # how a probe's exit code says so
_ENDINGS = {
    Outcome.PASSED: AttemptStatus.PASSED,
    Outcome.FAILED: AttemptStatus.FAILED,
    Outcome.RETRY: AttemptStatus.RETRY,
}
_TRIED = {Outcome.PASSED: Tried.PASSED, Outcome.FAILED: Tried.FAILED, Outcome.RETRY: Tried.RETRY}


class Job(Value):
    """One attempt with all that its process needs, but for the values of secrets."""

    execution: Execution
    version: ConfigVersion
    stage: StageSpec
    attempt: Attempt
    command: StageCommand

    @property
    def scope(self) -> SwitchScope:
        return stage_scope(self.version)


class Stages:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        guard: Guard,
        secrets: Secrets,
        process: StageProcess,
        host: Host,
        *,
        lease: timedelta,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._secrets = secrets
        self._process = process
        self._host = host
        self._lease = lease

    async def run(self, ref: StageRef, *, heartbeat: Callable[[], None]) -> Tried:
        """One start of the stage: the intent is stored before, the receipt after, and a switch is read just before.

        Raises:
            LeaseLostError: this worker stood still or out of reach, and the attempt is no longer its own.
            UnavailableError: nobody knows what happened; ask `settle`.
        """
        try:
            before, stage = await self._before(ref)
        except ForbiddenError:
            return Tried.FORBIDDEN
        if stage.effect is Effect.PROBE and any(each.is_doubtful for each in before):
            asked = await self._ask_probe(ref, heartbeat)
            if asked is not Tried.NOT_DONE:
                return asked
        job = await self._intend(ref, AttemptKind.RUN)
        if job is None:
            return Tried.UNKNOWN
        try:
            secrets = await self._reveal(job, job.stage.secrets)
            async with self._kept(job) as held:
                result = await self._process.run(
                    job.command, secrets, heartbeat=heartbeat, started=partial(self._started, job), held=held
                )
        except StoppedError:
            await self._end(job, AttemptStatus.REFUSED, None, heartbeat)
            return Tried.STOPPED
        except (NotFoundError, InvalidError) as error:
            await self._end(job, AttemptStatus.FAILED, None, heartbeat, note=f"the stage cannot be started: {error}")
            return Tried.FAILED
        await self._end(job, _ENDINGS[result.outcome], result, heartbeat)
        return _TRIED[result.outcome]

    async def settle(self, ref: StageRef, *, heartbeat: Callable[[], None]) -> Tried:
        """What the open attempt of a lost worker came to, found out after its process is known to be dead.

        Raises:
            UnavailableError: its process still lives; ask again.
        """
        attempts, stage = await self._before(ref)
        claimed = next((at for at, each in enumerate(attempts) if each.claim == ref.claim), None)
        left = attempts[-1] if claimed is not None else None
        if left is None:
            await self._bar(ref)
            return Tried.NOT_DONE
        if left.status.is_open:
            await self._await_death(left, heartbeat)
            await self._give_up(ref, left)
        elif (known := _known(left)) is not None:
            return known
        match stage.effect:
            case Effect.NONE | Effect.KEYED:
                return Tried.NOT_DONE
            case Effect.PROBE:
                return await self._ask_probe(ref, heartbeat) if self._was_here(left) else Tried.UNKNOWN
            case Effect.ONCE:
                return Tried.NOT_DONE if left.started_at is None else Tried.UNKNOWN

    @repeatable
    async def _intend(self, ref: StageRef, kind: AttemptKind) -> Job | None:
        """The stored intent, or None for a stage that acts at most once and has had its start."""
        async with self._database.transaction(ref.org) as session:
            execution = await store.get_for_update(session, ref.execution)
            version = await pipelines.version(session, execution.pipeline, execution.config_version)
            stage = find_stage(version, ref.stage)
            attempts = await store.attempts_without_output(session, ref.execution)
            held = next((each for each in attempts if each.claim == ref.claim), None) if kind is AttemptKind.RUN else None
            if held is not None and held.status is not AttemptStatus.INTENT:
                raise LeaseLostError(f"this worker was given up before it began {ref.stage}")
            if stage.effect is Effect.ONCE and await _is_spent(session, ref, attempts):
                return None
            attempt = held or _next_attempt(ref, execution, version, stage, kind, attempts)
            job = Job(
                execution=execution,
                version=version,
                stage=stage,
                attempt=attempt,
                command=command_of(execution, version, stage, outputs_of(attempts)),
            )
            if held is None:
                await store.add_attempt(session, attempt)
                await self._enter(session, job, f"stage.{kind}.intended")
            return job

    @repeatable
    async def _started(self, job: Job, handle: SupervisorHandle) -> None:
        """Between the intent and the stage's first instruction: the last look at what may stop it."""
        async with self._database.transaction(job.execution.org) as session:
            await self._guard.check_may_act(session, job.execution.org, job.scope)
            await store.start_attempt(session, job.attempt, handle, await now(session) + self._lease)

    @repeatable
    async def _probing(self, job: Job, handle: SupervisorHandle) -> None:
        """A probe only looks, so no switch stops it: a stopped run, too, has to know what it has done."""
        async with self._database.transaction(job.execution.org) as session:
            await store.start_attempt(session, job.attempt, handle, await now(session) + self._lease)

    def _kept(self, job: Job) -> AbstractAsyncContextManager[Callable[[], bool]]:
        """The lease that other hosts wait for, renewed for as long as the process runs."""
        return kept(partial(self._renew, job), length=self._lease)

    @repeatable
    async def _renew(self, job: Job) -> None:
        async with self._database.transaction(job.execution.org) as session:
            await store.renew_attempt(session, job.attempt, for_=self._lease)

    async def _end(
        self,
        job: Job,
        status: AttemptStatus,
        result: StageResult | None,
        heartbeat: Callable[[], None],
        *,
        note: str | None = None,
    ) -> None:
        """Store how the attempt ended: a result in hand is not given up because the database is away.

        Raises:
            LeaseLostError: the attempt is no longer this worker's.
        """
        tell = partial(self._receive, job, status, result, note)
        await insist(tell, beat=heartbeat, every=self._lease / 4, within=_TOLD_WITHIN)

    @repeatable
    async def _receive(self, job: Job, status: AttemptStatus, result: StageResult | None, note: str | None) -> None:
        async with self._database.transaction(job.execution.org) as session:
            if not await store.end_attempt(session, job.attempt, status, result, note=note):
                return
            if status is AttemptStatus.PASSED:
                await self._report_healed(session, job)
            await self._enter(session, job, f"stage.{job.attempt.kind}.{status}")

    async def _report_healed(self, session: AsyncSession, job: Job) -> None:
        resumption = await remediations.open_resumption(session, job.execution.id)
        if resumption is not None and resumption.until_stage == job.stage.name:
            await end_resumption(session, job.execution, resumption, ResumptionOutcome.PASSED)

    async def _before(self, ref: StageRef) -> tuple[list[Attempt], StageSpec]:
        """The attempts at the stage so far, dry-runs apart, and the stage.

        Raises:
            ForbiddenError: code of this org may not run on this worker.
        """
        async with self._database.transaction(ref.org) as session:
            await self._guard.check_may_run_code(session, ref.org)
            execution = await store.get(session, ref.execution)
            version = await pipelines.version(session, execution.pipeline, execution.config_version)
            attempts = await store.attempts_without_output(session, ref.execution, ref.stage)
        return [each for each in attempts if each.kind is not AttemptKind.DRY_RUN], find_stage(version, ref.stage)

    def _was_here(self, left: Attempt) -> bool:
        return left.supervisor is None or left.supervisor.host == self._host.name()

    async def _await_death(self, left: Attempt, heartbeat: Callable[[], None]) -> None:
        """Return once no process of the attempt is left.

        Raises:
            UnavailableError: there may still be one.
        """
        if left.supervisor is None:
            return
        if self._was_here(left):
            await self._await_death_here(left.supervisor, heartbeat)
            return
        async with self._database.transaction(left.org) as session:
            over = left.lease_until is None or left.lease_until + self._lease + _KILL_GRACE <= await now(session)
        if not over:
            raise UnavailableError("the lost worker's lease on another host is not over; asking again")

    async def _await_death_here(self, supervisor: SupervisorHandle, heartbeat: Callable[[], None]) -> None:
        pause = self._lease / 4
        for _ in range(ceil((self._lease + _KILL_GRACE) / pause)):
            heartbeat()
            if await self._host.wait_until_dead(supervisor, pause):
                return
        raise UnavailableError("the lost worker's stage still runs on this host; asking again")

    @repeatable
    async def _bar(self, ref: StageRef) -> None:
        """Close the claim of a worker that was lost before it stored its intent: one that only stood still may not begin now.

        Raises:
            UnavailableError: it has stored it in the meantime; ask again.
        """
        async with self._database.transaction(ref.org) as session:
            execution = await store.get_for_update(session, ref.execution)
            version = await pipelines.version(session, execution.pipeline, execution.config_version)
            attempts = await store.attempts_without_output(session, ref.execution)
            if any(each.claim == ref.claim for each in attempts):
                raise UnavailableError("the lost worker has begun in the meantime; asking again")
            stage = find_stage(version, ref.stage)
            unbegun = _next_attempt(ref, execution, version, stage, AttemptKind.RUN, attempts)
            await store.add_attempt(session, unbegun)
            await self._note_lost(session, ref, unbegun)

    async def _give_up(self, ref: StageRef, left: Attempt) -> None:
        """Raises UnavailableError: its worker, or another one, has said what came of it; ask again."""
        try:
            await self._lose(ref, left)
        except LeaseLostError as error:
            raise UnavailableError("the attempt has ended in the meantime; asking again") from error

    @repeatable
    async def _lose(self, ref: StageRef, left: Attempt) -> None:
        async with self._database.transaction(ref.org) as session:
            await self._note_lost(session, ref, left)

    async def _note_lost(self, session: AsyncSession, ref: StageRef, left: Attempt) -> None:
        if not await store.end_attempt(session, left, AttemptStatus.LOST, None):
            return
        await self._ledger.append(
            session,
            ref.org,
            "stage.lost",
            actor=SYSTEM,
            resource_type="execution",
            resource_id=ref.execution.shown,
            after={"stage": ref.stage, "attempt": left.number},
        )

    async def _ask_probe(self, ref: StageRef, heartbeat: Callable[[], None]) -> Tried:
        for _ in range(_PROBES):
            job = await self._intend(ref, AttemptKind.PROBE)
            if job is None:
                return Tried.UNKNOWN
            secrets = await self._reveal(job, job.stage.secrets)
            async with self._kept(job) as held:
                probed = await self._process.probe(
                    job.command, secrets, heartbeat=heartbeat, started=partial(self._probing, job), held=held
                )
            match probed.answer:
                case ProbeAnswer.DONE:
                    await self._end(job, AttemptStatus.PASSED, probed.attempt, heartbeat)
                    return Tried.PASSED
                case ProbeAnswer.NOT_DONE:
                    await self._end(job, AttemptStatus.FAILED, probed.attempt, heartbeat)
                    return Tried.NOT_DONE
                case ProbeAnswer.UNKNOWN:
                    await self._end(job, AttemptStatus.FAILED, probed.attempt, heartbeat)
        return Tried.UNKNOWN

    async def _reveal(self, job: Job, names: tuple[str, ...]) -> Mapping[str, str]:
        if not names:
            return {}
        why = f"stage {job.attempt.step_key}"
        environment = job.version.spec.environment
        return await self._secrets.reveal_for_runner(job.execution.org, environment, names, actor=SYSTEM, why=why)

    async def _enter(self, session: AsyncSession, job: Job, action: str) -> None:
        await self._ledger.append(
            session,
            job.execution.org,
            action,
            actor=SYSTEM,
            resource_type="execution",
            resource_id=job.execution.id.shown,
            after={"stage": job.stage.name, "attempt": job.attempt.number, "key": job.attempt.step_key},
            incident=job.execution.incident,
        )


async def _is_spent(session: AsyncSession, ref: StageRef, attempts: list[Attempt]) -> bool:
    """Whether the stage has had its one start; a plan that resumes the run, and so was granted, gives it one more."""
    resumption = await remediations.open_resumption(session, ref.execution)
    granted = resumption.created_at if resumption and resumption.plan else None
    began = [each.started_at for each in attempts if each.stage == ref.stage and each.has_acted and each.started_at]
    return any(granted is None or each >= granted for each in began)


def _known(left: Attempt) -> Tried | None:
    """What an attempt that has ended says about the effect; None where that still has to be asked."""
    match left.kind, left.status:
        case _, AttemptStatus.PASSED:
            return Tried.PASSED
        case AttemptKind.PROBE, _:
            said = left.result
            return Tried.NOT_DONE if said is not None and said.exit_code == _NOT_DONE and not said.timed_out else None
        case _, AttemptStatus.FAILED:
            return Tried.FAILED
        case _, AttemptStatus.RETRY:
            return Tried.RETRY
        case _, AttemptStatus.REFUSED:
            return Tried.STOPPED
        case _:
            return None


def find_stage(version: ConfigVersion, name: str) -> StageSpec:
    return next(stage for stage in version.spec.stages if stage.name == name)


def outputs_of(attempts: list[Attempt]) -> dict[str, str]:
    """The stored outputs of each stage's latest good attempt."""
    good = (a for a in attempts if a.status is AttemptStatus.PASSED and a.kind is not AttemptKind.DRY_RUN)
    return {each.stage: each.result.outputs for each in good if each.result is not None and each.result.outputs}


def stage_scope(version: ConfigVersion) -> SwitchScope:
    """What a switch must cover to stop the stages of a pipeline."""
    return SwitchScope(workflow=version.spec.pipeline, action=RUN_STAGE)


def command_of(
    execution: Execution, version: ConfigVersion, stage: StageSpec, outputs: Mapping[str, str], *, dry_run: bool = False
) -> StageCommand:
    """The stage's process under `version`, fed with `outputs` of the stages it needs."""
    return StageCommand(
        execution=execution.id,
        stage=stage.name,
        argv=stage.run,
        probe=stage.probe,
        effect=stage.effect,
        timeout=stage.timeout,
        step_key=f"{execution.id}/{stage.name}",
        step_version=step_version(stage, version.spec.config),
        config=used_config(stage, version.spec.config),
        inputs={need: outputs[need] for need in stage.needs},
        code=version.code,
        secrets=stage.secrets_dry_run if dry_run else stage.secrets,
        dry_run=dry_run,
        memory=stage.resources.memory,
        traceparent=f"00-{execution.trace_id}-{execution.id.int & (2**64 - 1) or 1:016x}-01" if execution.trace_id else None,
    )


def _next_attempt(
    ref: StageRef, execution: Execution, version: ConfigVersion, stage: StageSpec, kind: AttemptKind, attempts: list[Attempt]
) -> Attempt:
    return Attempt(
        org=ref.org,
        execution=ref.execution,
        stage=ref.stage,
        number=sum(1 for each in attempts if each.stage == ref.stage) + 1,
        kind=kind,
        status=AttemptStatus.INTENT,
        config_version=execution.config_version,
        step_key=f"{ref.execution}/{ref.stage}",
        step_version=step_version(stage, version.spec.config),
        claim=ref.claim if kind is AttemptKind.RUN else uuid4(),
    )
