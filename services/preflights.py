"""Prove a plan harmless as far as that can be known: dry-runs, drift, switches, conflicts, and what policy says."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actions.base import Action
from domain.actor import SYSTEM
from domain.base import CommandId, PreflightId
from domain.canonical import digest
from domain.decision import DecisionRecord, DecisionType
from domain.errors import NotFoundError, StoppedError
from domain.evidence import EvidenceKind
from domain.identity import SwitchScope
from domain.incident import Status
from domain.plan import FixPlan, PlanState, PlanStatus
from domain.policy import (
    AutonomyFacts,
    DryRunFacts,
    PlanFacts,
    PolicyAnswer,
    PreflightFacts,
    Reason,
    StepFacts,
    TargetFacts,
    Tier,
)
from domain.preflight import Drift, DryRun, DryRuns, Fidelity, Preflight, Preflighted
from domain.refs import PlanRef
from services.decisions import Decisions
from services.guard import Guard
from services.ledger import Ledger
from services.plan_entries import enter
from services.ports import Policy, Runner
from storage import diagnoses, incidents, plans, remediations
from storage import identity as identities
from storage.engine import Database, new_id, now, repeatable

_VALID_FOR = timedelta(hours=24)
_LEAST_TRUE_FIRST = (Fidelity.NONE, Fidelity.SIMULATED, Fidelity.SERVER)


class Preflights:
    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        guard: Guard,
        decisions: Decisions,
        policy: Policy,
        runners: Mapping[str, Runner],
        catalog: Mapping[str, Action],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._guard = guard
        self._decisions = decisions
        self._policy = policy
        self._runners = runners
        self._catalog = catalog

    async def dry_run(self, ref: PlanRef, *, heartbeat: Callable[[], None]) -> DryRuns:
        """Run every step's dry-run on this worker and keep what each said."""
        async with self._database.transaction(ref.org) as session:
            state = await plans.get(session, ref.id)
        runs = await self._runners[state.plan.runner].dry_run(state.plan, heartbeat=heartbeat)
        async with self._database.transaction(ref.org) as session:
            for step, run in zip(state.plan.steps, runs, strict=True):
                command = CommandId.of(await new_id(session))
                await remediations.add_dry_run(
                    session, state.plan, step, command=command, passed=run.passed, output=f"{run.fidelity}: {run.output}"
                )
            await enter(
                self._ledger, session, state.plan, "plan.rehearsed", SYSTEM, {"passed": all(run.passed for run in runs)}
            )
        return DryRuns(plan=ref, runs=runs)

    @repeatable
    async def judge(self, dry: DryRuns) -> Preflighted:
        """One immutable preflight of the plan as the world is now.

        Raises:
            UnavailableError: policy cannot be asked; nothing is stored.
        """
        async with self._database.transaction(dry.plan.org) as session:
            state = await plans.get(session, dry.plan.id)
        plan = state.plan
        found = [await self._found(plan, index) for index in range(len(plan.steps))]
        drift = _drift(plan, found)
        autonomy, refusals, revision = await self._ask_policy(plan, dry.runs, found)
        changed = bool(drift) or revision != plan.policy_revision
        async with self._database.transaction(plan.org) as session:
            refusals = (*refusals, *await self._stops(session, plan))
            preflight = Preflight(
                id=PreflightId.of(await new_id(session)),
                plan=plan.id,
                digest=state.digest,
                dry_runs=dry.runs,
                drift=drift,
                refusals=refusals,
                tier=Tier.BLOCK if refusals else autonomy.tier,
                reasons=autonomy.reasons,
                policy_revision=revision,
                valid_until=await now(session) + _VALID_FOR,
            )
            await self._store(session, state, preflight, autonomy)
        return Preflighted(id=preflight.id, tier=preflight.tier, passed=preflight.passed, changed=changed)

    async def _found(self, plan: FixPlan, index: int) -> str | None:
        try:
            return (await self._runners[plan.runner].target(plan.org, plan.steps[index].target)).version
        except NotFoundError:
            return None

    async def _ask_policy(
        self, plan: FixPlan, runs: tuple[DryRun, ...], found: list[str | None]
    ) -> tuple[PolicyAnswer, tuple[Reason, ...], str]:
        async with self._database.transaction(plan.org) as session:
            org = await identities.get_org(session, plan.org)
            kinds = await _kinds(session, plan)
            moment = await now(session)
            conflicts = await remediations.conflicts(session, plan)
        facts = plan_facts(plan, runs, self._catalog)
        autonomy = await self._policy.autonomy(
            AutonomyFacts(plan=facts, kinds=kinds, automatic_released=org.automatic_released)
        )
        steps = tuple(_step_facts(plan, index, runs[index], found[index]) for index in range(len(plan.steps)))
        refusals = await self._policy.preflight(
            PreflightFacts(plan=facts, steps=steps, tier=autonomy.tier, conflicts=conflicts, now=moment)
        )
        return autonomy, refusals, autonomy.revision

    async def _stops(self, session: AsyncSession, plan: FixPlan) -> tuple[Reason, ...]:
        incident = await incidents.get(session, plan.incident)
        try:
            await self._guard.check_may_act(session, plan.org, SwitchScope(workflow=incident.service, action=plan.action))
        except StoppedError as error:
            return (Reason(code="stopped", msg=str(error)),)
        return ()

    async def _store(self, session: AsyncSession, state: PlanState, preflight: Preflight, autonomy: PolicyAnswer) -> None:
        plan = state.plan
        await plans.add_preflight(session, state, preflight)
        await incidents.progress(session, plan.incident, Status.PREFLIGHT)
        if preflight.tier is Tier.BLOCK or not preflight.passed:
            await plans.set_status(session, plan.id, PlanStatus.BLOCKED)
        reasons = (*preflight.refusals, *preflight.reasons)
        record = DecisionRecord(
            incident=plan.incident,
            plan=plan.id,
            type=DecisionType.POLICY,
            model=f"opa/{preflight.policy_revision}",
            inputs_hash=digest({"plan": state.digest, "runs": [run.model_dump(mode="json") for run in preflight.dry_runs]}),
            confidence=plan.confidence,
            threshold=autonomy.threshold,
            decision=preflight.tier,
            reason_codes=tuple(each.code for each in reasons),
            explanation="; ".join(each.msg for each in reasons) or "policy lets this plan run alone",
        )
        await self._decisions.record(session, plan.org, record)
        await enter(
            self._ledger, session, plan, "plan.preflighted", SYSTEM, {"tier": preflight.tier, "passed": preflight.passed}
        )


def plan_facts(plan: FixPlan, runs: tuple[DryRun, ...], catalog: Mapping[str, Action]) -> PlanFacts:
    """What policy weighs; risk and blast radius come from the catalogue, never from a text."""
    fidelity = next((each for each in _LEAST_TRUE_FIRST if any(run.fidelity is each for run in runs)), Fidelity.NONE)
    return PlanFacts.of(plan, blast_radius=catalog[plan.action].blast_radius, fidelity=fidelity)


async def _kinds(session: AsyncSession, plan: FixPlan) -> frozenset[EvidenceKind]:
    """The independent kinds of evidence behind the likeliest cause."""
    hypotheses = await diagnoses.hypotheses(session, plan.incident)
    if not hypotheses:
        return frozenset()
    pieces = await diagnoses.evidence(session, plan.incident, limit=200)
    return frozenset(piece.kind for piece in pieces if piece.id in hypotheses[0].support)


def _drift(plan: FixPlan, found: list[str | None]) -> tuple[Drift, ...]:
    pairs = zip(plan.steps, found, strict=True)
    return tuple(
        Drift(target=step.target.key, expected=step.target.version, found=version or "gone")
        for step, version in pairs
        if version != step.target.version
    )


def _step_facts(plan: FixPlan, index: int, run: DryRun, found: str | None) -> StepFacts:
    step = plan.steps[index]
    return StepFacts(
        index=step.index,
        tool=step.do.tool,
        argv=step.do.argv,
        target=TargetFacts(key=step.target.key, version=step.target.version, found=found),
        dry_run=DryRunFacts(fidelity=run.fidelity, passed=run.passed),
    )
