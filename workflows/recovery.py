"""Replay failed work: carry the one-step plan that was made for it, and record what came of it."""

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.governance import Governance
    from domain.incident import Status
    from domain.recovery import RecoveryFinished, RecoveryOutcome
    from domain.refs import PlanRef, RecoveryRef
    from workflows import details, options
    from workflows.carrying import Carrying


@workflow.defn
class RecoveryWorkflow(Carrying):
    @workflow.init
    def __init__(self, ref: RecoveryRef) -> None:
        super().__init__(ref.org)

    @workflow.run
    async def run(self, ref: RecoveryRef) -> RecoveryOutcome:
        plan: PlanRef = await workflow.execute_activity_method(
            Governance.plan_recovery, ref, task_queue=Governance.queue, **options.RECORD
        )
        state = await workflow.execute_activity_method(
            Governance.look_at_plan, plan, task_queue=Governance.queue, **options.RECORD
        )
        try:
            status = await self.carry(state)
            if status is Status.PLANNING:
                await self._withdraw(plan)
        except BaseException as error:
            if is_cancelled_exception(error):
                await self._withdraw(plan)
                await self._finish(ref, RecoveryOutcome.UNKNOWN)
            raise
        outcome = _outcome(status)
        await self._finish(ref, outcome)
        details.end(outcome, needs_human=outcome is not RecoveryOutcome.RECOVERED)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return outcome

    async def _finish(self, ref: RecoveryRef, outcome: RecoveryOutcome) -> None:
        end = RecoveryFinished(recovery=ref, outcome=outcome)
        await workflow.execute_activity_method(Governance.finish_recovery, end, task_queue=Governance.queue, **options.RECORD)


def _outcome(status: Status) -> RecoveryOutcome:
    if status is Status.VERIFIED:
        return RecoveryOutcome.RECOVERED
    if status is Status.ROLLED_BACK:
        return RecoveryOutcome.FAILED_AGAIN
    return RecoveryOutcome.UNKNOWN if status is Status.NEEDS_HUMAN else RecoveryOutcome.REFUSED
