"""Execute a granted plan: check everything again, lease, snapshot, each step once with intent and receipt, judge, undo."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM
from domain.approval import ApprovalStatus, Choice, Grant, GrantStatus, check_may_decide
from domain.base import CommandId
from domain.canonical import digest
from domain.decision import DecisionRecord, DecisionType
from domain.errors import ForbiddenError, GrantUsedError, LeaseLostError, NotFoundError, StalePlanError, StoppedError
from domain.identity import SwitchScope
from domain.incident import Status
from domain.outcome import (
    Begun,
    Receipt,
    RemediationOutcome,
    Snapshot,
    StepOutcome,
    StepRef,
    StepResult,
    Verdict,
    VerdictOutcome,
)
from domain.plan import Command, Direction, EffectClass, FixPlan, PlanState, PlanStatus, Step, Target
from domain.refs import PlanRef
from domain.resumption import ResumptionOutcome
from domain.stage import ProbeAnswer
from services.approvals import excluded
from services.decisions import Decisions
from services.guard import Guard
from services.ledger import Ledger
from services.ports import Policy, Runner, Signer
from storage import approvals, incidents, plans, remediations, tokens
from storage import identity as identities
from storage.engine import Database, new_id, now, repeatable

_SHOWN = 4_000
JUDGE = "judge/1"
_HOLD = timedelta(hours=2)  # a remediation is durable and gives its targets back itself; this outlives any verify wait


class Remediation:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        guard: Guard,
        decisions: Decisions,
        policy: Policy,
        runners: Mapping[str, Runner],
        signer: Signer,
        *,
        lease: timedelta,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._decisions = decisions
        self._policy = policy
        self._runners = runners
        self._signer = signer
        self._lease = lease

    @repeatable
    async def begin(self, ref: PlanRef) -> Begun:
        """Use the grant, once, if the world is still the one that was approved.

        Raises:
            GrantUsedError: another remediation has used it, or it is over.
            UnavailableError: policy cannot be asked, so nothing is decided.
        """
        revision = await self._policy.revision()
        try:
            return await self._use_grant(ref, revision)
        except GrantUsedError as refusal:
            async with self._database.transaction(ref.org) as session:
                plan = (await plans.get(session, ref.id)).plan
                await self._enter(session, plan, "remediation.refused", {"code": refusal.code, "reason": str(refusal)})
            raise

    async def _use_grant(self, ref: PlanRef, revision: str) -> Begun:
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            grant = await approvals.grant_of(session, ref.id)
            if grant is None:
                raise GrantUsedError("the plan has no grant")
            if grant.status is GrantStatus.CONSUMED:
                return self._begun_before(ref, state, grant)
            if (reason := await self._stop_reason(session, state.plan)) is not None:
                return Begun(outcome=RemediationOutcome.STOPPED, reason=reason)
            if (reason := await self._stale_reason(session, state.plan, grant, revision)) is not None:
                return await self._void(session, state.plan, grant, reason)
            if grant.digest != state.digest or not await approvals.consume_grant(session, grant.id, by=ref.workflow_id):
                return await self._unusable(session, state.plan, grant)
            await plans.set_status(session, ref.id, PlanStatus.EXECUTING)
            await incidents.progress(session, state.plan.incident, Status.EXECUTING)
            await self._enter(session, state.plan, "remediation.started", {"grant": grant.id.shown, "digest": state.digest})
            return self._begun(state.plan)

    @repeatable
    async def prepare(self, ref: PlanRef) -> None:
        """Lease every target in sorted order and keep a snapshot of each.

        Raises:
            LeaseLostError: another remediation holds one of them.
        """
        plan = await self._plan(ref)
        runner = self._runners[plan.runner]
        snapshots = [
            Snapshot(plan=ref.id, target=t.key, version=t.version, content=dict(await runner.snapshot(ref.org, t)))
            for t in plan.targets
        ]
        async with self._database.transaction(ref.org) as session:
            for target, snapshot in zip(plan.targets, snapshots, strict=True):
                await remediations.take_lease(session, ref.org, target.key, holder=ref.workflow_id, for_=_HOLD)
                await remediations.add_snapshot(session, ref.org, snapshot)
            await self._enter(session, plan, "remediation.prepared", {"targets": [target.key for target in plan.targets]})

    async def step(self, ref: StepRef) -> StepOutcome:
        """Run one step in one direction, once: a repeated call finds the receipt, or probes what the first one did."""
        plan = await self._plan(ref.plan)
        step = plan.steps[ref.step]
        told = step.do if ref.direction is Direction.DO else step.undo
        if told is None:
            return StepOutcome.NOTHING
        try:
            return await self._once(plan, step, told, ref.direction)
        except StoppedError:
            return StepOutcome.STOPPED
        except (StalePlanError, LeaseLostError):
            return StepOutcome.STALE

    async def is_stopped(self, ref: PlanRef) -> bool:
        """Whether a switch that covers the plan is engaged."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get(session, ref.id)
            return await self._stop_reason(session, state.plan) is not None

    @repeatable
    async def verify(self, ref: PlanRef, *, is_last_look: bool) -> Verdict | None:
        """The verdict, or None while the evidence is not in and there is still time."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get(session, ref.id)
            resumption = await remediations.resumption_of(session, state.plan.key(state.plan.steps[-1], Direction.DO))
            verdict = judge(ref, resumption.outcome if resumption else None)
            if verdict.outcome is VerdictOutcome.INCONCLUSIVE and not is_last_look:
                return None
            await remediations.add_verdict(session, ref.org, verdict)
            record = DecisionRecord(
                incident=state.plan.incident,
                plan=ref.id,
                type=DecisionType.VERDICT,
                model=JUDGE,
                inputs_hash=digest({"resumption": resumption.key if resumption else None}),
                decision=verdict.outcome,
                explanation=verdict.reason,
            )
            await self._decisions.record(session, ref.org, record)
            await self._enter(session, state.plan, f"remediation.judged_{verdict.outcome}", {"reason": verdict.reason})
            return verdict

    @repeatable
    async def finish(self, ref: PlanRef, outcome: RemediationOutcome) -> None:
        """Give the targets back and say how it ended."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            for target in state.plan.targets:
                await remediations.release_lease(session, target.key, holder=ref.workflow_id)
            await plans.set_status(session, ref.id, outcome.plan_status)
            await self._enter(session, state.plan, f"remediation.{outcome}", {"outcome": outcome})

    async def _once(self, plan: FixPlan, step: Step, told: Command, direction: Direction) -> StepOutcome:
        key = plan.key(step, direction)
        intent = await self._intend(plan, step, told, direction)
        if intent is None:
            return StepOutcome.DONE
        command, fence, is_repeated = intent
        runner = self._runners[plan.runner]
        target = await self._expected(plan, step, direction)
        if is_repeated:
            answer, found = await runner.probe(plan, target, told, key=key)
            if answer is ProbeAnswer.DONE and found is not None:
                await self._receive(plan, step, told, direction, command, found, adopted=True)
                return StepOutcome.DONE
            if answer is ProbeAnswer.UNKNOWN or step.effect is EffectClass.ONCE:
                return StepOutcome.UNKNOWN
        result = await runner.run(plan, target, told, key=key, holder=_holder(plan), fence=fence)
        await self._receive(plan, step, told, direction, command, result, adopted=False)
        return StepOutcome.DONE if result.exit_code == 0 else StepOutcome.FAILED

    @repeatable
    async def _intend(
        self, plan: FixPlan, step: Step, told: Command, direction: Direction
    ) -> tuple[CommandId, int, bool] | None:
        """The stored intent, the fence it runs under, and whether it stood before; None when the receipt is there."""
        async with self._database.transaction(plan.org) as session:
            key = plan.key(step, direction)
            if await remediations.receipt(session, key) is not None:
                return None
            grant = await approvals.grant_of(session, plan.id)
            if grant is None or grant.consumed_by != _holder(plan):
                raise GrantUsedError("this remediation holds no grant for the plan")
            incident = await incidents.get(session, plan.incident)
            await self._guard.check_may_act(session, plan.org, SwitchScope(workflow=incident.service, action=plan.action))
            fence = await remediations.take_lease(session, plan.org, step.target.key, holder=_holder(plan), for_=_HOLD)
            fresh = CommandId.of(await new_id(session))
            command = await remediations.add_command(
                session,
                plan,
                step,
                command=fresh,
                direction=direction,
                told=told,
                grant=grant.id,
                remediation=_holder(plan),
                fence=fence,
            )
            if command == fresh:
                await self._enter(session, plan, f"step.{direction}_intended", {"key": key, "argv": list(told.argv)})
            return command, fence, command != fresh

    async def _expected(self, plan: FixPlan, step: Step, direction: Direction) -> Target:
        """The target at the version of this remediation's last receipt there, else at the plan's."""
        async with self._database.transaction(plan.org) as session:
            receipts = await remediations.receipts(session, plan.id)
        indices = {other.index for other in plan.steps if other.target.key == step.target.key}
        own = [each for each in receipts if int(each.key.split("/")[1]) in indices]
        return step.target.model_copy(update={"version": own[-1].version}) if own else step.target

    @repeatable
    async def _receive(
        self,
        plan: FixPlan,
        step: Step,
        told: Command,
        direction: Direction,
        command: CommandId,
        result: StepResult,
        *,
        adopted: bool,
    ) -> None:
        async with self._database.transaction(plan.org) as session:
            receipt = Receipt(
                command=command,
                key=plan.key(step, direction),
                direction=direction,
                argv=told.argv,
                exit_code=result.exit_code,
                output_digest=digest(result.output),
                head=result.output[:_SHOWN],
                tail=result.output[-_SHOWN:],
                version=result.version,
                adopted=adopted,
                started_at=await remediations.started_at(session, command),
                ended_at=await now(session),
            )
            sealed = digest(receipt)
            signature = self._signer.sign(bytes.fromhex(sealed)).hex()
            if await remediations.add_receipt(session, plan.org, receipt, digest=sealed, signature=signature):
                after = {"key": receipt.key, "exit_code": receipt.exit_code, "receipt": sealed, "adopted": adopted}
                await self._enter(session, plan, f"step.{direction}_done", after)

    async def _stop_reason(self, session: AsyncSession, plan: FixPlan) -> str | None:
        incident = await incidents.get(session, plan.incident)
        try:
            await self._guard.check_may_act(session, plan.org, SwitchScope(workflow=incident.service, action=plan.action))
        except StoppedError as error:
            return str(error)
        return None

    async def _stale_reason(self, session: AsyncSession, plan: FixPlan, grant: Grant, revision: str) -> str | None:
        if plan.digest != grant.digest:
            return "the plan is no longer the one that was approved"
        if revision != plan.policy_revision:
            return f"policy is at revision {revision}, the plan was made under {plan.policy_revision}"
        runner = self._runners.get(plan.runner)
        if runner is None or runner.version != plan.runner_version:
            return "the plan's runner has changed"
        for target in plan.targets:
            try:
                found = await runner.target(plan.org, target)
            except NotFoundError:
                return f"{target.name} is gone"
            if found.version != target.version:
                return f"{target.name} is at {found.version}, the plan was made for {target.version}"
        return await self._authority_lost(session, plan, grant)

    async def _authority_lost(self, session: AsyncSession, plan: FixPlan, grant: Grant) -> str | None:
        """Why the people who agreed no longer may."""
        if grant.approval is None:
            return await self._automatic_held(session, plan)
        approval = await approvals.get(session, grant.approval)
        if approval.status is not ApprovalStatus.APPROVED:
            return f"the approval is {approval.status}"
        approval = approval.model_copy(update={"excluded": await excluded(session, plan)})
        for decision in approval.decisions:
            if decision.choice is not Choice.APPROVE:
                continue
            request = await approvals.get_request(session, decision.request)
            by = await identities.get_principal(session, decision.principal)
            token = await tokens.get_for_update(session, request.token)
            if token.revoked_at is not None:
                return "the token behind an approval has been revoked"
            try:
                check_may_decide(approval, by, token.issuer)
            except ForbiddenError as error:
                return f"an approver may no longer approve: {error}"
        return None

    async def _automatic_held(self, session: AsyncSession, plan: FixPlan) -> str | None:
        org = await identities.get_org(session, plan.org)
        return None if org.automatic_released else "the automatic mode is held"

    async def _unusable(self, session: AsyncSession, plan: FixPlan, grant: Grant) -> Begun:
        """What a grant that cannot be used any more means for its plan.

        Raises:
            GrantUsedError: another remediation has used it, or it is for another digest.
        """
        if grant.status is GrantStatus.REVOKED:
            return Begun(outcome=RemediationOutcome.REVOKED, reason="the grant was revoked")
        if await approvals.end_grant(session, grant.id, GrantStatus.EXPIRED) or grant.status is GrantStatus.EXPIRED:
            await self._enter(session, plan, "grant.expired", {"grant": grant.id.shown})
            return Begun(outcome=RemediationOutcome.EXPIRED, reason="nobody executed the plan in time")
        raise GrantUsedError(f"the grant is {grant.status}; a retry needs a new approval")

    async def _void(self, session: AsyncSession, plan: FixPlan, grant: Grant, reason: str) -> Begun:
        await approvals.end_grant(session, grant.id, GrantStatus.VOID)
        await plans.set_status(session, plan.id, PlanStatus.SUPERSEDED)
        await self._enter(session, plan, "plan.stale", {"reason": reason})
        return Begun(outcome=RemediationOutcome.STALE, reason=reason)

    async def _plan(self, ref: PlanRef) -> FixPlan:
        async with self._database.transaction(ref.org) as session:
            return (await plans.get(session, ref.id)).plan

    def _begun_before(self, ref: PlanRef, state: PlanState, grant: Grant) -> Begun:
        """The answer that got lost on its way; whatever else asks with a used grant is a replay.

        Raises:
            GrantUsedError: another remediation has used it, or this one has ended.
        """
        if grant.consumed_by != ref.workflow_id or state.status is not PlanStatus.EXECUTING:
            raise GrantUsedError(f"the grant is {grant.status}; a retry needs a new approval")
        return self._begun(state.plan)

    def _begun(self, plan: FixPlan) -> Begun:
        return Begun(
            steps=tuple(step.index for step in plan.steps),
            undoable=tuple(step.index for step in reversed(plan.steps) if step.undo is not None),
            environment=plan.environment,
            lease=self._lease,
        )

    async def _enter(self, session: AsyncSession, plan: FixPlan, action: str, after: dict[str, object]) -> None:
        await self._ledger.append(
            session,
            plan.org,
            action,
            actor=SYSTEM,
            resource_type="plan",
            resource_id=plan.id.shown,
            after=after,
            incident=plan.incident,
        )


def judge(ref: PlanRef, outcome: ResumptionOutcome | None) -> Verdict:
    """The result of the stage that had failed is the evidence; without it nothing is proved."""
    match outcome:
        case ResumptionOutcome.PASSED:
            return Verdict(plan=ref.id, outcome=VerdictOutcome.PASS, reason="the stage that had failed passes", samples=1)
        case ResumptionOutcome.FAILED:
            return Verdict(plan=ref.id, outcome=VerdictOutcome.FAIL, reason="the stage still fails", samples=1)
        case None:
            reason = "the resumed stage gave no result in time"
            return Verdict(plan=ref.id, outcome=VerdictOutcome.INCONCLUSIVE, reason=reason, samples=0)


def _holder(plan: FixPlan) -> str:
    return f"fix/{plan.org}/{plan.id}"
