"""The story of an incident: diagnose, plan, preflight, ask, execute, verify, close."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.governance import Governance
    from activities.inference import Inference
    from domain.base import IncidentId
    from domain.incident import RESTING, Incident, Status
    from domain.plan import PlanState
    from domain.refs import IncidentRef, PlanRef, PlanWish
    from workflows import details, options
    from workflows.carrying import PLANS, Carrying
    from workflows.trying import insist


@workflow.defn
class IncidentWorkflow(Carrying):
    @workflow.init
    def __init__(self, ref: IncidentRef) -> None:
        super().__init__(ref.org)
        self._ref = ref
        self._next = ref.id
        self._heard = 0
        self._told = 0

    @workflow.run
    async def run(self, ref: IncidentRef) -> Status:
        status = await self._story(ref)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._next != ref.id or self._heard != self._told:
            next_story = IncidentRef(org=ref.org, id=self._next)
            attributes = details.of_incident(ref.org, workflow.info().workflow_id)
            workflow.continue_as_new(next_story, search_attributes=attributes)
        return status

    @workflow.signal
    def event(self, incident: IncidentId) -> None:
        """One more event; it may belong to the next incident of this signature, whose story follows this one.

        Letters come in any order and more than once: ids grow with time, so an older one changes nothing.
        """
        self._next = max(self._next, incident)
        self._heard += 1
        self._stirred += 1

    async def _story(self, ref: IncidentRef) -> Status:
        self._told = self._heard
        incident: Incident = await workflow.execute_activity_method(
            Governance.look_at_incident, ref, task_queue=Governance.queue, **options.RECORD
        )
        if incident.ended_at is not None or incident.is_at_rest or incident.is_carried_elsewhere:
            return incident.status
        plan: PlanState | None = None
        try:
            await self._diagnose(ref, incident)
            status = Status.PLANNING
            for _ in range(PLANS):
                plan = await self._plan(ref, incident, supersedes=plan)
                status = await self.carry(plan) if plan else Status.NEEDS_HUMAN
                if status is not Status.PLANNING:
                    break
            if status is Status.PLANNING:
                await self._abandon(ref, plan)
                return Status.NEEDS_HUMAN
            return await self._close(ref, status)
        except BaseException as error:
            if not is_cancelled_exception(error) and not isinstance(error, ActivityError):
                raise
            await self._abandon(ref, plan)
            if is_cancelled_exception(error):
                raise
            return Status.NEEDS_HUMAN

    async def _diagnose(self, ref: IncidentRef, incident: Incident) -> None:
        details.show("finding out why")
        cause = await insist(lambda: self._infer(ref), until=options.ends(incident.heal_by))
        details.show(cause or "no cause found")

    async def _infer(self, ref: IncidentRef) -> str | None:
        return await workflow.execute_activity_method(Inference.diagnose, ref, task_queue=Inference.queue, **options.INFER)

    async def _plan(self, ref: IncidentRef, incident: Incident, *, supersedes: PlanState | None) -> PlanState | None:
        if supersedes is None:
            details.show("choosing the safest fix")
        else:
            details.enter("planning", "the world has changed: choosing again")
        wish = PlanWish(
            incident=ref, carrier=workflow.info().workflow_id, supersedes=supersedes.plan.id if supersedes else None
        )
        limits = options.policy(incident.heal_by)
        return await workflow.execute_activity_method(Governance.plan_fix, wish, task_queue=Governance.queue, **limits)

    async def _close(self, ref: IncidentRef, status: Status) -> Status:
        self._told = self._heard
        await self._end(ref, status)
        details.end(status, needs_human=status in RESTING)
        return status

    async def _abandon(self, ref: IncidentRef, plan: PlanState | None) -> None:
        """The story was cut off, or went in circles: nobody decides any more, and a person has to look."""
        if plan is not None:
            await self._withdraw(PlanRef(org=ref.org, id=plan.plan.id))
        await self._close(ref, Status.NEEDS_HUMAN)
