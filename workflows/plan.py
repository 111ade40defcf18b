"""Carry one plan that a person asked for."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.governance import Governance
    from domain.incident import RESTING, Status
    from domain.plan import PlanState
    from domain.refs import IncidentRef, PlanRef
    from workflows import details, options
    from workflows.carrying import PLANS, Carrying


@workflow.defn
class PlanWorkflow(Carrying):
    @workflow.init
    def __init__(self, ref: PlanRef) -> None:
        super().__init__(ref.org)
        self._ref = ref

    @workflow.run
    async def run(self, ref: PlanRef) -> Status:
        state: PlanState = await workflow.execute_activity_method(
            Governance.look_at_plan, ref, task_queue=Governance.queue, **options.RECORD
        )
        incident = IncidentRef(org=ref.org, id=state.plan.incident)
        try:
            status = await self._carry_on(state)
        except BaseException as error:
            if not is_cancelled_exception(error) and not isinstance(error, ActivityError):
                raise
            await self._withdraw(self._ref)
            await self._end(incident, Status.NEEDS_HUMAN)
            raise
        await self._end(incident, Status.NEEDS_HUMAN if status is Status.PLANNING else status)
        details.end(status, needs_human=status in RESTING)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return status

    async def _carry_on(self, state: PlanState) -> Status:
        """Carry the plan, and those that take its place when it goes stale."""
        for left in reversed(range(PLANS)):
            self._ref = PlanRef(org=self._ref.org, id=state.plan.id)
            status = await self.carry(state)
            if status is not Status.PLANNING:
                return status
            if not left:
                break
            details.enter("planning", "the world has changed: choosing again")
            again: PlanState | None = await workflow.execute_activity_method(
                Governance.plan_again, self._ref, task_queue=Governance.queue, **options.policy(state.heal_by)
            )
            if again is None:
                return Status.NEEDS_HUMAN
            state = again
        await self._withdraw(self._ref)
        return Status.NEEDS_HUMAN
