"""The runner of our own pipelines: restores a config version, resumes a run; each effect is one keyed, fenced transaction."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import ExecutionId, OrgId, PipelineId, ResumptionId
from domain.errors import InvalidError, NotFoundError, StalePlanError
from domain.execution import RunStatus
from domain.identity import SwitchScope
from domain.outcome import StepResult
from domain.plan import Command, FixPlan, Step, Target
from domain.preflight import DryRun, Fidelity
from domain.resumption import Resumption
from domain.stage import ProbeAnswer
from services.guard import Guard
from services.rehearsal import Rehearsal
from services.targets import read
from storage import executions, incidents, outbox, pipelines, remediations
from storage.engine import Database, new_id, repeatable
from storage.outbox import Letter

VERSION = "1"


class PipelineRunner:
    name = "pipeline"
    version = VERSION

    def __init__(self, database: Database, guard: Guard, rehearsal: Rehearsal, *, lease: timedelta) -> None:
        self._database = database
        self._guard = guard
        self._rehearsal = rehearsal
        self._lease = lease

    async def target(self, org: OrgId, target: Target) -> Target:
        async with self._database.transaction(org) as session:
            return await read(session, target)

    async def snapshot(self, org: OrgId, target: Target) -> Mapping[str, object]:
        async with self._database.transaction(org) as session:
            if target.kind != "pipeline":
                return {"version": (await read(session, target)).version}
            pipeline = await pipelines.get(session, PipelineId.of(target.id))
            return {"version": pipeline.version, "config": pipeline.config}

    async def dry_run(self, plan: FixPlan, *, heartbeat: Callable[[], None]) -> tuple[DryRun, ...]:
        return tuple([await self._dry_step(plan, step, heartbeat) for step in plan.steps])

    @repeatable
    async def run(self, plan: FixPlan, target: Target, command: Command, *, key: str, holder: str, fence: int) -> StepResult:
        async with self._database.transaction(plan.org) as session:
            if (applied := await remediations.applied(session, key)) is not None:
                return applied
            await remediations.check_lease(session, target.key, holder=holder, fence=fence, for_=self._lease)
            found = await read(session, target)
            if found.version != target.version:
                raise StalePlanError(f"{target.name} is at {found.version}, the plan expects {target.version}")
            incident = await incidents.get(session, plan.incident)
            await self._guard.check_may_act(session, plan.org, SwitchScope(workflow=incident.service, action=plan.action))
            output = await self._apply(session, plan, command, key)
            result = StepResult(exit_code=0, output=output, version=(await read(session, target)).version)
            await remediations.mark_applied(session, key, result)
            return result

    async def probe(
        self, plan: FixPlan, target: Target, command: Command, *, key: str
    ) -> tuple[ProbeAnswer, StepResult | None]:
        async with self._database.transaction(plan.org) as session:
            await read(session, target)  # waits for an effect in flight: it holds the target's row
            applied = await remediations.applied(session, key)
        return (ProbeAnswer.DONE, applied) if applied else (ProbeAnswer.NOT_DONE, None)

    async def _apply(self, session: AsyncSession, plan: FixPlan, command: Command, key: str) -> str:
        match command.argv:
            case ("restore-config", pipeline, number):
                return await self._restore(session, PipelineId.of(pipeline), int(number))
            case ("resume-run", execution, from_stage, until_stage, number):
                return await self._resume(session, plan, ExecutionId.of(execution), from_stage, until_stage, int(number), key)
            case _:
                raise InvalidError("the pipeline runner does not know this command")

    async def _restore(self, session: AsyncSession, pipeline: PipelineId, number: int) -> str:
        version = await pipelines.version(session, pipeline, number)
        await pipelines.set_current(session, version)
        return f"version {number} is current"

    async def _resume(
        self,
        session: AsyncSession,
        plan: FixPlan,
        execution_id: ExecutionId,
        from_stage: str,
        until_stage: str,
        number: int,
        key: str,
    ) -> str:
        execution = await executions.get_for_update(session, execution_id)
        resumption = Resumption(
            id=ResumptionId.of(await new_id(session)),
            execution=execution_id,
            plan=plan.id,
            incident=plan.incident,
            key=key,
            from_stage=from_stage,
            until_stage=until_stage,
            config_version=number,
        )
        await remediations.add_resumption(session, plan.org, resumption)
        if execution.status.is_final:
            await executions.change(session, execution_id, status=RunStatus.WAITING, finished_at=None, heal_by=None)
        letter = {"pipeline": execution.pipeline.shown, "execution": execution_id.shown}
        await outbox.add(session, plan.org, Letter.START_RUN, letter)
        return f"{execution_id.shown} goes on at {from_stage} on version {number}"

    async def _dry_step(self, plan: FixPlan, step: Step, heartbeat: Callable[[], None]) -> DryRun:
        match step.do.argv:
            case ("restore-config", pipeline, number):
                return await self._dry_restore(plan.org, step, PipelineId.of(pipeline), int(number))
            case ("resume-run", execution, from_stage, until_stage, number):
                return await self._rehearsal.resume(
                    plan.org,
                    ExecutionId.of(execution),
                    from_stage=from_stage,
                    until_stage=until_stage,
                    version=int(number),
                    step=step.index,
                    heartbeat=heartbeat,
                )
            case _:
                return DryRun(
                    step=step.index, fidelity=Fidelity.NONE, passed=False, output="the runner does not know this command"
                )

    async def _dry_restore(self, org: OrgId, step: Step, pipeline: PipelineId, number: int) -> DryRun:
        async with self._database.transaction(org) as session:
            try:
                await pipelines.version(session, pipeline, number)
            except NotFoundError as error:
                return DryRun(step=step.index, fidelity=Fidelity.SERVER, passed=False, output=str(error))
        return DryRun(step=step.index, fidelity=Fidelity.SERVER, passed=True, output=f"version {number} can be restored")
