"""Carry one plan that a person asked for."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.governance import Governance
    from domain.incident import Status
    from domain.plan import PlanState
    from domain.refs import IncidentEnd, IncidentRef, PlanRef
    from workflows import options
    from workflows.carrying import PLANS, Carrying


@workflow.defn
class PlanWorkflow(Carrying):
    @workflow.init
    def __init__(self, ref: PlanRef) -> None:
        super().__init__(ref.org)

    @workflow.run
    async def run(self, ref: PlanRef) -> Status:
        state: PlanState | None = await workflow.execute_activity_method(
            Governance.look_at_plan, ref, task_queue=Governance.queue, **options.RECORD
        )
        status = Status.PLANNING
        for _ in range(PLANS):
            if state is None or status is not Status.PLANNING:
                break
            incident, stale = state.plan.incident, PlanRef(org=ref.org, id=state.plan.id)
            status = await self.carry(state)
            if status is Status.PLANNING:
                state = await workflow.execute_activity_method(
                    Governance.plan_again, stale, task_queue=Governance.queue, **options.POLICY
                )
        if status is Status.VERIFIED:
            end = IncidentEnd(incident=IncidentRef(org=ref.org, id=incident), status=status)
            await workflow.execute_activity_method(
                Governance.close_incident, end, task_queue=Governance.queue, **options.RECORD
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return status
