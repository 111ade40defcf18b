"""Carry one plan: preflight, permission, remediation. Shared by every workflow that has a plan to carry."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.execution import Execution
    from activities.governance import Governance
    from domain.approval import ApprovalStatus, GrantStatus, RequestKind, Settled, Standing
    from domain.base import OrgId, PlanId, RequestId
    from domain.execution import Unserved
    from domain.incident import Status
    from domain.plan import Mode, PlanState
    from domain.policy import Tier
    from domain.preflight import DryRuns, Preflighted
    from domain.refs import IncidentEnd, IncidentRef, PlanErrand, PlanRef, RequestRef
    from workflows import details, options
    from workflows.remediation import RemediationWorkflow
    from workflows.serving import served
    from workflows.trying import insist

PLANS = 4
"""A plan and three that take its place; after that a person has to look."""


class Carrying:
    """The part of a workflow that carries a plan. How a plan ends is the incident's next status; `planning` means stale."""

    def __init__(self, org: OrgId) -> None:
        self._org = org
        self._stirred = 0
        self._is_asking = False
        self._is_open = False
        self._is_told_to_execute = False
        self._carried: PlanId | None = None
        self._waits_until: datetime | None = None

    @workflow.update
    async def decide(self, request: RequestId) -> Settled:
        """Do what the stored request asks for: who sent this is not believed, the row is."""
        return await self._settle(request)

    @decide.validator
    def _refuse_when_nobody_asks(self, request: RequestId) -> None:
        if not self._is_asking:
            raise ApplicationError("no decision is awaited", type="approval_closed", non_retryable=True)

    @workflow.signal
    async def approve(self, request: RequestId) -> None:
        """The second door into `decide`, for senders that cannot update; refusals are in the audit log."""
        if not self._is_asking:
            return
        try:
            await self._settle(request)
        except (ActivityError, ApplicationError) as error:
            workflow.logger.info("a request by signal was refused", extra={"cause": str(error.cause or error)})

    @workflow.signal
    def wake(self) -> None:
        """Something has changed in the database: a switch, a revoked grant, a resolved incident."""
        self._stirred += 1

    async def _settle(self, request: RequestId) -> Settled:
        await workflow.wait_condition(lambda: self._is_open or not self._is_asking)
        if not self._is_open:
            raise ApplicationError("no decision is awaited any more", type="approval_closed", non_retryable=True)
        settled: Settled = await workflow.execute_activity_method(
            Governance.settle_request,
            RequestRef(org=self._org, id=request),
            task_queue=Governance.queue,
            **options.policy(self._waits_until),
        )
        if settled.kind is RequestKind.EXECUTE and settled.plan == self._carried:
            self._is_told_to_execute = True
        self._stirred += 1
        return settled

    async def carry(self, state: PlanState) -> Status:
        """Take the plan as far as it may go."""
        ref = PlanRef(org=self._org, id=state.plan.id)
        self._carried, self._is_told_to_execute, self._waits_until = ref.id, False, state.heal_by
        try:
            preflight = await self._preflight(ref, state)
            if preflight.changed:
                return Status.PLANNING
            if not preflight.passed or preflight.tier is Tier.BLOCK:
                return Status.BLOCKED
            refused = await self._permission(ref, preflight)
            if refused is None and state.plan.mode is Mode.SUGGEST:
                refused = await self._order(ref)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            await self._withdraw(ref)
            return Status.BLOCKED
        finally:
            self._is_asking = self._is_open = False
        return refused or await self._remediate(ref)

    async def _preflight(self, ref: PlanRef, state: PlanState) -> Preflighted:
        details.enter("preflight", f"preflight of **{state.plan.summary}**", details.PLAN_ID.value_set(str(ref.id)))
        until = options.ends(state.heal_by)
        runs = await insist(lambda: self._rehearse(ref, state, until), until=until)
        return await workflow.execute_activity_method(
            Governance.judge_preflight, runs, task_queue=Governance.queue, **options.policy(self._waits_until)
        )

    async def _rehearse(self, ref: PlanRef, state: PlanState, until: datetime) -> DryRuns:
        environment = state.plan.environment

        async def ask(within: timedelta) -> DryRuns:
            queue, limits = Execution.queue.format(environment=environment), options.rehearse(within=within)
            return await workflow.execute_activity_method(Execution.rehearse, ref, task_queue=queue, **limits)

        work = Unserved(org=self._org, environment=environment, stage="rehearsal", since=workflow.now(), plan=ref.id)
        return await served(ask, work, until=until)

    async def _permission(self, ref: PlanRef, preflight: Preflighted) -> Status | None:
        """Why nobody lets the plan execute, or None."""
        if preflight.tier is Tier.AUTO:
            await workflow.execute_activity_method(Governance.grant_alone, ref, task_queue=Governance.queue, **options.RECORD)
            return None
        self._is_asking = True
        await workflow.execute_activity_method(
            Governance.open_approval, ref, task_queue=Governance.queue, **options.policy(self._waits_until)
        )
        self._is_open = True
        return _refusal(await self._decided(ref))

    async def _decided(self, ref: PlanRef) -> Standing:
        is_told = False
        while True:
            seen = self._stirred
            standing: Standing = await workflow.execute_activity_method(
                Governance.tend_approval, ref, task_queue=Governance.queue, **options.RECORD
            )
            if standing.status is not ApprovalStatus.OPEN:
                return standing
            if not is_told:
                until, deadline = standing.decide_by, details.APPROVAL_DEADLINE.value_set(standing.decide_by)
                details.enter("approval", f"waiting for people until {until:%Y-%m-%d %H:%M} UTC", deadline, needs_human=True)
                is_told = True
            await self._stir(seen, standing.look_again_in, "remind, escalate or expire")

    async def _order(self, ref: PlanRef) -> Status | None:
        """Wait for an operator's word to execute; why it did not come, or None."""
        self._is_asking = self._is_open = True
        details.enter("execution", "granted; waiting for an operator to execute", needs_human=True)
        while not self._is_told_to_execute:
            seen = self._stirred
            grant = await workflow.execute_activity_method(
                Governance.look_at_grant, ref, task_queue=Governance.queue, **options.RECORD
            )
            match grant.status:
                case GrantStatus.UNUSED:
                    await self._stir(seen, grant.look_again_in, "execute by")
                case GrantStatus.EXPIRED:
                    return Status.EXPIRED
                case GrantStatus.REVOKED:
                    return Status.REJECTED
                case GrantStatus.VOID:
                    return Status.BLOCKED if grant.is_moot else Status.PLANNING
                case GrantStatus.CONSUMED:
                    return Status.NEEDS_HUMAN
        return None

    async def _remediate(self, ref: PlanRef) -> Status:
        details.enter("execution", "executing the plan")
        try:
            outcome = await workflow.execute_child_workflow(
                RemediationWorkflow.run,
                PlanErrand(org=ref.org, id=ref.id, heal_by=self._waits_until),
                id=ref.workflow_id,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                task_queue="orchestrator",
                parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                search_attributes=details.of_child(self._org, "execution"),
                static_summary="execute, verify, undo on breach",
            )
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            if is_cancelled_exception(error):
                raise
            await self._withdraw(ref)
            return Status.NEEDS_HUMAN
        return outcome.incident_status

    async def _withdraw(self, ref: PlanRef) -> None:
        await workflow.execute_activity_method(Governance.withdraw_plan, ref, task_queue=Governance.queue, **options.RECORD)

    async def _end(self, incident: IncidentRef, status: Status) -> Status:
        end = IncidentEnd(incident=incident, status=status)
        await workflow.execute_activity_method(Governance.close_incident, end, task_queue=Governance.queue, **options.RECORD)
        return status

    async def _stir(self, seen: int, at_most: timedelta, why: str) -> None:
        try:
            await workflow.wait_condition(lambda: self._stirred != seen, timeout=at_most, timeout_summary=why)
        except TimeoutError:
            workflow.logger.info("looking again")


def _refusal(standing: Standing) -> Status | None:
    match standing.status:
        case ApprovalStatus.APPROVED:
            return None
        case ApprovalStatus.REJECTED:
            return Status.REJECTED
        case ApprovalStatus.EXPIRED:
            return Status.EXPIRED
        case ApprovalStatus.WITHDRAWN | ApprovalStatus.OPEN:
            return Status.BLOCKED
