"""Run a pipeline: stage by stage; a failed stage waits for its healing and the run goes on where it may."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.execution import Execution
    from activities.running import Running
    from domain.execution import Failure, HealingState, RunStatus, RunTask, StageTask, Tried, Unserved
    from domain.refs import RunRef, StageRef
    from workflows import details, options
    from workflows.serving import served
    from workflows.trying import is_untouched

_LOST_WORKERS = 3


@workflow.defn
class PipelineWorkflow:
    @workflow.init
    def __init__(self, ref: RunRef) -> None:
        self._ref = ref
        self._woken = 0
        self._lost = 0

    @workflow.run
    async def run(self, ref: RunRef) -> RunStatus:
        try:
            return await self._run(ref)
        except BaseException as error:
            if is_cancelled_exception(error):
                await workflow.execute_activity_method(Running.cancel_run, ref, task_queue=Running.queue, **options.RECORD)
            elif isinstance(error, ActivityError):
                await workflow.execute_activity_method(Running.abandon_run, ref, task_queue=Running.queue, **options.RECORD)
            raise

    async def _run(self, ref: RunRef) -> RunStatus:
        while True:
            task = await workflow.execute_activity_method(Running.begin_run, ref, task_queue=Running.queue, **options.RECORD)
            if task.is_over:
                return RunStatus.SUCCEEDED
            if not task.is_waiting:
                failure = await self._stages(task)
                if failure is None:
                    return await self._finish()
                details.show(f"stage **{failure.stage}** failed ({failure.error_code}); waiting to be healed")
                await workflow.execute_activity_method(Running.fail_run, failure, task_queue=Running.queue, **options.RECORD)
            if not await self._is_healed():
                return RunStatus.FAILED

    @workflow.signal
    def wake(self) -> None:
        """Something about this run has changed in the database; what, the database says."""
        self._woken += 1

    async def _stages(self, task: RunTask) -> Failure | None:
        for stage in task.stages[task.cursor :]:
            details.show(f"running stage **{stage.name}**")
            error_code = await self._stage(task, stage)
            if error_code is not None:
                return Failure(ref=self._ref, stage=stage.name, error_code=error_code)
        return None

    async def _stage(self, task: RunTask, stage: StageTask) -> str | None:
        """Why the stage failed, after all its attempts, or None."""
        spent = 0
        while True:
            match await self._try(task, stage):
                case Tried.PASSED:
                    return None
                case Tried.STOPPED | Tried.FORBIDDEN | Tried.UNSERVED as refused:
                    return str(refused)
                case Tried.UNKNOWN:
                    return "effect_unknown"
                case Tried.NOT_DONE:
                    if self._lost > _LOST_WORKERS:
                        return "worker_lost"
                case Tried.FAILED | Tried.RETRY:
                    spent += 1
                    if spent >= stage.attempts:
                        return "failed"
                    await workflow.sleep(stage.backoff, summary=f"retry {stage.name}")

    async def _try(self, task: RunTask, stage: StageTask) -> Tried:
        ref = StageRef(org=self._ref.org, execution=self._ref.execution, stage=stage.name, claim=workflow.uuid4())
        try:
            return await self._served(task, stage, partial(self._run_stage, task, stage, ref))
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            if is_untouched(error):
                return Tried.UNSERVED
        self._lost += 1
        try:
            return await self._served(task, stage, partial(self._settle_stage, task, stage, ref))
        except ActivityError as error:
            if is_untouched(error):
                return Tried.UNKNOWN
            raise

    async def _served(self, task: RunTask, stage: StageTask, ask: Callable[[timedelta], Awaitable[Tried]]) -> Tried:
        """Nobody waits for a worker longer than for a healing."""
        since = workflow.now()
        work = Unserved(
            org=self._ref.org, environment=task.environment, stage=stage.name, since=since, execution=self._ref.execution
        )
        return await served(ask, work, until=since + task.heal_within)

    async def _run_stage(self, task: RunTask, stage: StageTask, ref: StageRef, within: timedelta) -> Tried:
        return await workflow.execute_activity_method(
            Execution.run_stage,
            ref,
            task_queue=Execution.queue.format(environment=task.environment),
            summary=stage.name,
            **options.stage(timeout=stage.timeout, lease=task.lease, within=within),
        )

    async def _settle_stage(self, task: RunTask, stage: StageTask, ref: StageRef, within: timedelta) -> Tried:
        return await workflow.execute_activity_method(
            Execution.settle_stage,
            ref,
            task_queue=Execution.queue.format(environment=task.environment),
            summary=f"{stage.name}: what did the lost worker do?",
            **options.settle(timeout=stage.timeout, lease=task.lease, within=within),
        )

    async def _is_healed(self) -> bool:
        """Whether the run may go on; waits for its healing as long as there is any hope."""
        while True:
            seen = self._woken
            healing = await workflow.execute_activity_method(
                Running.look_for_healing, self._ref, task_queue=Running.queue, **options.RECORD
            )
            match healing.state:
                case HealingState.RESUME:
                    return True
                case HealingState.OVER:
                    if self._woken == seen:
                        return False
                case HealingState.WAITING:
                    await self._wait(seen, healing.look_again_in)

    async def _wait(self, seen: int, at_most: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._woken != seen, timeout=at_most, timeout_summary="heal within")
        except TimeoutError:
            workflow.logger.info("looking for healing again")

    async def _finish(self) -> RunStatus:
        await workflow.execute_activity_method(Running.finish_run, self._ref, task_queue=Running.queue, **options.RECORD)
        details.show("every stage passed")
        return RunStatus.SUCCEEDED
