"""Execute a granted plan: begin, lease, snapshot, each step once, judge, and give everything back at the end."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM
from domain.approval import Grant, GrantStatus
from domain.base import Instant
from domain.canonical import digest
from domain.decision import DecisionRecord, DecisionType
from domain.execution import RunStatus
from domain.identity import SwitchLevel
from domain.outcome import (
    Begun,
    RemediationOutcome,
    Snapshot,
    StepOutcome,
    StepRef,
    Verdict,
    VerdictOutcome,
)
from domain.plan import CLOSED, Direction, FixPlan
from domain.refs import PlanRef
from domain.resumption import ResumptionOutcome
from services.beginning import Beginning
from services.decisions import Decisions
from services.guard import Guard
from services.ledger import Ledger
from services.plan_entries import enter
from services.ports import Runner, Signer
from services.recheck import Recheck
from services.steps import Steps
from services.targets import hold_for
from services.weighing import Weighing
from storage import approvals, audit, executions, incidents, outbox, plans, remediations, switches, workflows
from storage.engine import Database, now, repeatable
from storage.outbox import Letter

JUDGE = "judge/1"


class Remediation:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        guard: Guard,
        decisions: Decisions,
        weighing: Weighing,
        runners: Mapping[str, Runner],
        signer: Signer,
        *,
        lease: timedelta,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._recheck = Recheck(guard, runners)
        self._decisions = decisions
        self._runners = runners
        self._beginning = Beginning(database, ledger, decisions, self._recheck, weighing, lease=lease)
        self._steps = Steps(database, ledger, self._recheck, runners, signer)

    async def begin(self, ref: PlanRef, *, by: str | None = None) -> Begun:
        return await self._beginning.begin(ref, by=by)

    async def step(self, ref: StepRef) -> StepOutcome:
        return await self._steps.run(ref)

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
            hold = await hold_for(session, plan)
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

    async def is_stopped(self, ref: PlanRef) -> bool:
        """Whether a switch that covers the plan is engaged."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get(session, ref.id)
            return await self._recheck.stop_reason(session, state.plan) is not None

    @repeatable
    async def verify(self, ref: PlanRef, *, judge_by: Instant | None) -> Verdict | None:
        """The verdict, or None while the evidence is not in and there is still time; what was judged stays judged."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get_for_update(session, ref.id)
            if (stored := await remediations.verdict(session, ref.id)) is not None:
                return stored
            resumption = await remediations.resumption_of(session, state.plan.key(state.plan.steps[-1], Direction.DO))
            verdict = judge(ref, resumption.outcome if resumption else None)
            is_in_time = judge_by is not None and await now(session) < judge_by
            if verdict.outcome is VerdictOutcome.INCONCLUSIVE and is_in_time:
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
            is_its_own = grant is not None and grant.consumed_by == ref.workflow_id
            if state.status not in CLOSED or is_its_own:
                await plans.set_status(session, ref.id, outcome.plan_status)
            if outcome is RemediationOutcome.UNDO_FAILED and is_its_own:
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
        """Once: nobody knows how the targets are, so nothing acts on what the incident is about until a person has looked."""
        if await audit.count(session, action="undo.failed", resource_id=plan.id.shown):
            return
        service = (await incidents.get(session, plan.incident)).service
        found = await workflows.find(session, service)
        subject, workflow = (found.name, found.id) if found else (service, None)
        level, reason = SwitchLevel.WORKFLOW, f"the undo of plan {plan.id.shown} has failed"
        await switches.put(session, plan.org, level, subject, is_active=True, reason=reason, workflow=workflow, by=None)
        await outbox.add(session, plan.org, Letter.STOPPED, {"level": level, "subject": subject})
        await enter(self._ledger, session, plan, "undo.failed", SYSTEM, {"kill_switch": f"{level}/{subject}", "reason": reason})

    async def _plan(self, ref: PlanRef) -> FixPlan:
        async with self._database.transaction(ref.org) as session:
            return (await plans.get(session, ref.id)).plan


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
