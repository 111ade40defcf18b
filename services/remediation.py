"""Execute a granted plan: check everything again, lease, snapshot, each step once with intent and receipt, judge, undo."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM
from domain.approval import Grant, GrantStatus
from domain.base import CommandId, ExecutionId
from domain.canonical import digest
from domain.decision import DecisionRecord, DecisionType
from domain.errors import ForbiddenError, GrantUsedError, LeaseLostError, StalePlanError, StoppedError
from domain.execution import RunStatus
from domain.identity import SwitchLevel
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
from domain.plan import CLOSED, Command, Direction, EffectClass, FixPlan, Mode, PlanState, PlanStatus, Step, Target
from domain.refs import PlanRef
from domain.resumption import ResumptionOutcome
from domain.stage import ProbeAnswer
from services.decisions import Decisions
from services.guard import Guard
from services.ledger import Ledger
from services.plan_entries import enter
from services.ports import Policy, Runner, Signer
from services.recheck import Recheck, Versions
from services.rights import check_ordered
from storage import approvals, executions, incidents, outbox, plans, remediations, switches, workflows
from storage.engine import Database, new_id, now, repeatable
from storage.outbox import Letter

_SHOWN = 4_000
JUDGE = "judge/1"
_VERIFY_WITHIN = timedelta(minutes=30)  # where no run says until when it may wait
_SOONEST = timedelta(minutes=1)
_MARGIN = timedelta(hours=1)  # a remediation is durable and gives its targets back itself; this outlives its verify wait


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
        self._recheck = Recheck(guard, runners)
        self._decisions = decisions
        self._policy = policy
        self._runners = runners
        self._signer = signer
        self._lease = lease

    @repeatable
    async def begin(self, ref: PlanRef, *, by: str | None = None) -> Begun:
        """Use the grant, once, if the world is still the one that was approved; `by` names the workflow that asks.

        Raises:
            GrantUsedError: another remediation has used it, or it is over.
            ForbiddenError: the plan waits for an operator's word, and nobody who may has given it, or another workflow
                than the plan's own asks.
            UnavailableError: policy cannot be asked, so nothing is decided.
        """
        revision = await self._policy.revision()
        found = await self._recheck.versions(await self._plan(ref))
        try:
            return await self._use_grant(ref, revision, found, is_own=by in {None, ref.workflow_id})
        except (GrantUsedError, ForbiddenError) as refusal:
            async with self._database.transaction(ref.org) as session:
                plan = (await plans.get(session, ref.id)).plan
                await enter(
                    self._ledger, session, plan, "remediation.refused", SYSTEM, {"code": refusal.code, "reason": str(refusal)}
                )
            raise

    @repeatable
    async def _use_grant(self, ref: PlanRef, revision: str, found: Versions, *, is_own: bool) -> Begun:
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            grant = await approvals.grant_of(session, ref.id)
            if grant is None:
                raise GrantUsedError("the plan has no grant")
            if grant.status is GrantStatus.CONSUMED and is_own:
                return await self._begun_before(session, ref, state, grant)
            if not is_own:
                kind = GrantUsedError if grant.status is GrantStatus.CONSUMED else ForbiddenError
                raise kind("only the plan's own remediation acts on it")
            if (refused := await self._refused(session, state, grant, revision, found)) is not None:
                return refused
            if state.plan.mode is Mode.SUGGEST:
                await check_ordered(session, ref.id)
            is_as_granted = state.status is PlanStatus.GRANTED and grant.digest == state.digest
            if not is_as_granted or not await approvals.consume_grant(session, grant.id, by=ref.workflow_id):
                raise GrantUsedError(f"the plan is {state.status}, its grant {grant.status}: there is nothing to execute")
            await plans.set_status(session, ref.id, PlanStatus.EXECUTING)
            await incidents.progress(session, state.plan.incident, Status.EXECUTING)
            await enter(
                self._ledger,
                session,
                state.plan,
                "remediation.started",
                SYSTEM,
                {"grant": grant.id.shown, "digest": state.digest},
            )
            return await self._begun(session, state.plan)

    async def _refused(
        self, session: AsyncSession, state: PlanState, grant: Grant, revision: str, found: Versions
    ) -> Begun | None:
        """Why an unused grant cannot be used any more, after it has been ended for that reason."""
        if (over := _over(state, grant)) is not None:
            return over
        reason = await self._recheck.stop_reason(session, state.plan) or await self._recheck.moot_reason(session, state)
        if reason is not None:
            return await self._void(session, state.plan, grant, RemediationOutcome.STOPPED, reason)
        if (reason := await self._recheck.stale_reason(session, state.plan, grant, revision, found)) is not None:
            return await self._void(session, state.plan, grant, RemediationOutcome.STALE, reason)
        if grant.execute_by > await now(session):
            return None
        await approvals.end_grant(session, grant.id, GrantStatus.EXPIRED)
        await enter(self._ledger, session, state.plan, "grant.expired", SYSTEM, {"grant": grant.id.shown})
        return Begun(outcome=RemediationOutcome.EXPIRED, reason="nobody executed the plan in time")

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
            hold = await _verify_within(session, plan) + _MARGIN
            for target, snapshot in zip(plan.targets, snapshots, strict=True):
                await remediations.take_lease(session, ref.org, target.key, holder=ref.workflow_id, for_=hold)
                await remediations.add_snapshot(session, ref.org, snapshot)
            await enter(
                self._ledger,
                session,
                plan,
                "remediation.prepared",
                SYSTEM,
                {"targets": [target.key for target in plan.targets]},
            )

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
            return await self._recheck.stop_reason(session, state.plan) is not None

    @repeatable
    async def verify(self, ref: PlanRef, *, is_last_look: bool) -> Verdict | None:
        """The verdict, or None while the evidence is not in and there is still time; what was judged stays judged."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            if (stored := await remediations.verdict(session, ref.id)) is not None:
                return stored
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
            await enter(
                self._ledger, session, state.plan, f"remediation.judged_{verdict.outcome}", SYSTEM, {"reason": verdict.reason}
            )
            return verdict

    @repeatable
    async def finish(self, ref: PlanRef, outcome: RemediationOutcome) -> None:
        """Give the targets back and say how it ended; whatever is not verified leaves nothing behind that could still act."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            grant = await approvals.grant_of(session, ref.id)
            for target in state.plan.targets:
                await remediations.release_lease(session, target.key, holder=ref.workflow_id)
            if outcome is not RemediationOutcome.VERIFIED:
                await self._wind_up(session, state.plan, grant)
            if state.status not in CLOSED or (grant is not None and grant.consumed_by == ref.workflow_id):
                await plans.set_status(session, ref.id, outcome.plan_status)
            if outcome is RemediationOutcome.UNDO_FAILED and state.status is PlanStatus.EXECUTING:
                await self._throw_switch(session, state.plan)
            await enter(self._ledger, session, state.plan, f"remediation.{outcome}", SYSTEM, {"outcome": outcome})

    async def _wind_up(self, session: AsyncSession, plan: FixPlan, grant: Grant | None) -> None:
        """End an unused grant, and the right to go on of a run that has not begun to."""
        if grant is not None and await approvals.end_grant(session, grant.id, GrantStatus.VOID):
            await enter(self._ledger, session, plan, "grant.void", SYSTEM, {"grant": grant.id.shown})
        resumption = await remediations.resumption_of(session, plan.key(plan.steps[-1], Direction.DO))
        if resumption is None or resumption.outcome is not None:
            return
        if (await executions.get_for_update(session, resumption.execution)).status is RunStatus.WAITING:
            await remediations.finish_resumption(session, resumption.id, ResumptionOutcome.FAILED)

    async def _throw_switch(self, session: AsyncSession, plan: FixPlan) -> None:
        """Nobody knows how the targets are: nothing acts on what the incident is about until a person has looked."""
        service = (await incidents.get(session, plan.incident)).service
        found = await workflows.find(session, service)
        subject, workflow = (found.name, found.id) if found else (service, None)
        level, reason = SwitchLevel.WORKFLOW, f"the undo of plan {plan.id.shown} has failed"
        await switches.put(session, plan.org, level, subject, is_active=True, reason=reason, workflow=workflow, by=None)
        await outbox.add(session, plan.org, Letter.STOPPED, {"level": level, "subject": subject})
        await enter(self._ledger, session, plan, "undo.failed", SYSTEM, {"kill_switch": f"{level}/{subject}", "reason": reason})

    async def _once(self, plan: FixPlan, step: Step, told: Command, direction: Direction) -> StepOutcome:
        key = plan.key(step, direction)
        try:
            intent = await self._intend(plan, step, told, direction)
        except LeaseLostError:
            if await self._stands(plan, key):
                return StepOutcome.UNKNOWN
            raise
        if isinstance(intent, Receipt):
            return _outcome(intent.exit_code)
        command, fence, is_repeated = intent
        runner = self._runners[plan.runner]
        target = await self._expected(plan, step, direction)
        if is_repeated:
            answer, found = await runner.probe(plan, target, told, key=key)
            if answer is ProbeAnswer.DONE and found is not None:
                await self._receive(plan, step, told, direction, command, found, adopted=True)
                return _outcome(found.exit_code)
            if answer is ProbeAnswer.UNKNOWN or step.effect is EffectClass.ONCE:
                return StepOutcome.UNKNOWN
            await self._check_may_act(plan)
        result = await runner.run(plan, target, told, key=key, holder=_holder(plan), fence=fence)
        await self._receive(plan, step, told, direction, command, result, adopted=False)
        return _outcome(result.exit_code)

    async def _stands(self, plan: FixPlan, key: str) -> bool:
        """Whether a try has been made already."""
        async with self._database.transaction(plan.org) as session:
            return await remediations.command(session, key) is not None

    async def _check_may_act(self, plan: FixPlan) -> None:
        async with self._database.transaction(plan.org) as session:
            await self._recheck.check_may_act(session, plan)

    @repeatable
    async def _intend(
        self, plan: FixPlan, step: Step, told: Command, direction: Direction
    ) -> tuple[CommandId, int, bool] | Receipt:
        """The stored intent, the fence it runs under, and whether it stood before; or the receipt that is there.

        An intent that stands is asked about first: a switch stops the next effect, not the record of one that happened.
        """
        async with self._database.transaction(plan.org) as session:
            key = plan.key(step, direction)
            if (receipt := await remediations.receipt(session, key)) is not None:
                return receipt
            grant = await approvals.grant_of(session, plan.id)
            if grant is None or grant.consumed_by != _holder(plan):
                raise GrantUsedError("this remediation holds no grant for the plan")
            if await remediations.command(session, key) is None:
                await self._recheck.check_may_act(session, plan)
            hold = await _verify_within(session, plan) + _MARGIN
            fence = await remediations.take_lease(session, plan.org, step.target.key, holder=_holder(plan), for_=hold)
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
                await enter(
                    self._ledger, session, plan, f"step.{direction}_intended", SYSTEM, {"key": key, "argv": list(told.argv)}
                )
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
                await enter(self._ledger, session, plan, f"step.{direction}_done", SYSTEM, after)

    async def _void(
        self, session: AsyncSession, plan: FixPlan, grant: Grant, outcome: RemediationOutcome, reason: str
    ) -> Begun:
        await approvals.end_grant(session, grant.id, GrantStatus.VOID)
        await plans.set_status(session, plan.id, outcome.plan_status)
        await enter(self._ledger, session, plan, f"plan.{outcome}", SYSTEM, {"reason": reason})
        return Begun(outcome=outcome, reason=reason)

    async def _plan(self, ref: PlanRef) -> FixPlan:
        async with self._database.transaction(ref.org) as session:
            return (await plans.get(session, ref.id)).plan

    async def _begun_before(self, session: AsyncSession, ref: PlanRef, state: PlanState, grant: Grant) -> Begun:
        """The answer that got lost on its way; whatever else asks with a used grant is a replay.

        Raises:
            GrantUsedError: another remediation has used it, or this one has ended.
        """
        if grant.consumed_by != ref.workflow_id or state.status is not PlanStatus.EXECUTING:
            raise GrantUsedError(f"the grant is {grant.status}; a retry needs a new approval")
        return await self._begun(session, state.plan)

    async def _begun(self, session: AsyncSession, plan: FixPlan) -> Begun:
        return Begun(
            steps=tuple(step.index for step in plan.steps),
            environment=plan.environment,
            lease=self._lease,
            verify_within=await _verify_within(session, plan),
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


def _over(state: PlanState, grant: Grant) -> Begun | None:
    """What a grant that has been ended means for its plan."""
    match grant.status:
        case GrantStatus.REVOKED:
            return Begun(outcome=RemediationOutcome.REVOKED, reason="the grant was revoked")
        case GrantStatus.EXPIRED:
            return Begun(outcome=RemediationOutcome.EXPIRED, reason="nobody executed the plan in time")
        case GrantStatus.VOID:
            is_stale = state.status is PlanStatus.SUPERSEDED
            outcome = RemediationOutcome.STALE if is_stale else RemediationOutcome.STOPPED
            return Begun(outcome=outcome, reason="the grant is void")
        case GrantStatus.UNUSED | GrantStatus.CONSUMED:
            return None


async def _verify_within(session: AsyncSession, plan: FixPlan) -> timedelta:
    """How long the evidence may take: as long as the run that goes on may wait to be healed."""
    for target in plan.targets:
        if target.kind != "run":
            continue
        run = await executions.get(session, ExecutionId.of(target.id))
        if run.heal_by is not None and not run.status.is_final:
            return max(run.heal_by - await now(session), _SOONEST)
    return _VERIFY_WITHIN


def _outcome(exit_code: int) -> StepOutcome:
    return StepOutcome.DONE if exit_code == 0 else StepOutcome.FAILED


def _holder(plan: FixPlan) -> str:
    return f"fix/{plan.org}/{plan.id}"
