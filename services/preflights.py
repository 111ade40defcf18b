"""Prove a plan harmless as far as that can be known: dry-runs, drift, switches, conflicts, and what policy says."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM
from domain.base import CommandId, ExecutionId, PreflightId
from domain.errors import StoppedError
from domain.identity import SwitchScope
from domain.incident import Status
from domain.plan import FixPlan, PlanState, PlanStatus
from domain.policy import Reason, Tier
from domain.preflight import ChangedTarget, Drift, DryRuns, Preflight, Preflighted
from domain.refs import PlanRef
from services.decisions import Decisions
from services.guard import Guard
from services.intake import Intake
from services.ledger import Ledger
from services.plan_entries import enter
from services.ports import Runner
from services.weighing import Versions, Weighed, Weighing, versions_of
from storage import executions, incidents, pipelines, plans, remediations
from storage.engine import Database, new_id, now, repeatable

_VALID_FOR = timedelta(hours=24)


class Preflights:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        guard: Guard,
        decisions: Decisions,
        weighing: Weighing,
        intake: Intake,
        runners: Mapping[str, Runner],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._decisions = decisions
        self._weighing = weighing
        self._intake = intake
        self._runners = runners

    async def dry_run(self, ref: PlanRef, *, heartbeat: Callable[[], None]) -> DryRuns:
        """Run every step's dry-run on this worker and keep what each said."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get(session, ref.id)
        runs = await self._runners[state.plan.runner].dry_run(state.plan, heartbeat=heartbeat)
        async with self._database.transaction(ref.org) as session:
            for changed in (run.changed for run in runs if run.changed):
                await self._report(session, state.plan, changed)
            for step, run in zip(state.plan.steps, runs, strict=True):
                command = CommandId.of(await new_id(session))
                await remediations.add_dry_run(
                    session, state.plan, step, command=command, passed=run.passed, output=f"{run.fidelity}: {run.output}"
                )
            await enter(
                self._ledger, session, state.plan, "plan.rehearsed", SYSTEM, {"passed": all(run.passed for run in runs)}
            )
        return DryRuns(plan=ref, runs=runs)

    async def _report(self, session: AsyncSession, plan: FixPlan, changed: ChangedTarget) -> None:
        """A dry-run that changed its target is an incident of its own; the plan it was for is not the place to mend it."""
        for run in [ExecutionId.of(target.id) for target in plan.targets if target.kind == "run"]:
            execution = await executions.get(session, run)
            version = await pipelines.version(session, execution.pipeline, execution.config_version)
            await self._intake.report_failure(
                session,
                execution,
                version.spec,
                stage=changed.stage,
                error_code="dry_run_changed_target",
                message=changed.message,
            )

    @repeatable
    async def judge(self, dry: DryRuns) -> Preflighted:
        """One immutable preflight of the plan as the world is now.

        Raises:
            UnavailableError: policy cannot be asked; nothing is stored.
        """
        async with self._database.transaction(dry.plan.org) as session:
            state = await plans.get(session, dry.plan.id)
        plan = state.plan
        found = await versions_of(self._runners[plan.runner], plan)
        async with self._database.transaction(plan.org) as session:
            conflicts = await remediations.conflicts(session, plan)
        drift, weighed = _drift(plan, found), await self._weighing.weigh(plan, dry.runs, found, conflicts)
        revision = weighed.autonomy.revision
        changed = bool(drift) or revision != plan.policy_revision
        async with self._database.transaction(plan.org) as session:
            refusals = (*weighed.refusals, *await self._stops(session, plan))
            preflight = Preflight(
                id=PreflightId.of(await new_id(session)),
                plan=plan.id,
                digest=state.digest,
                dry_runs=dry.runs,
                drift=drift,
                refusals=refusals,
                tier=Tier.BLOCK if refusals else weighed.autonomy.tier,
                reasons=weighed.autonomy.reasons,
                policy_revision=revision,
                valid_until=await now(session) + _VALID_FOR,
            )
            await self._store(session, state, preflight, weighed)
        return Preflighted(id=preflight.id, tier=preflight.tier, passed=preflight.passed, changed=changed)

    async def _stops(self, session: AsyncSession, plan: FixPlan) -> tuple[Reason, ...]:
        incident = await incidents.get(session, plan.incident)
        try:
            await self._guard.check_may_act(session, plan.org, SwitchScope(workflow=incident.service, action=plan.action))
        except StoppedError as error:
            return (Reason(code="stopped", msg=str(error)),)
        return ()

    async def _store(self, session: AsyncSession, state: PlanState, preflight: Preflight, weighed: Weighed) -> None:
        plan = state.plan
        await plans.add_preflight(session, state, preflight)
        await incidents.progress(session, plan.incident, Status.PREFLIGHT)
        if preflight.tier is Tier.BLOCK or not preflight.passed:
            await plans.set_status(session, plan.id, PlanStatus.BLOCKED)
        reasons = (*preflight.refusals, *preflight.reasons)
        await self._decisions.record(session, plan.org, weighed.record(plan, preflight.tier, reasons))
        await enter(
            self._ledger, session, plan, "plan.preflighted", SYSTEM, {"tier": preflight.tier, "passed": preflight.passed}
        )


def _drift(plan: FixPlan, found: Versions) -> tuple[Drift, ...]:
    return tuple(
        Drift(target=step.target.key, expected=step.target.version, found=found[step.target.key] or "gone")
        for step in plan.steps
        if found[step.target.key] != step.target.version
    )
