"""Ask policy about a plan as the world is now: how free it is, and what speaks against it."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actions.base import Action
from domain.base import Value
from domain.decision import DecisionRecord
from domain.errors import NotFoundError
from domain.evidence import EvidenceKind
from domain.plan import FixPlan
from domain.policy import (
    AutonomyFacts,
    DryRunFacts,
    PlanFacts,
    PolicyAnswer,
    PreflightFacts,
    Reason,
    Refusal,
    StepFacts,
    TargetFacts,
    Tier,
)
from domain.preflight import DryRun, Fidelity
from services.decisions import policy_record
from services.ports import Policy, Runner
from storage import diagnoses
from storage import identity as identities
from storage.engine import Database, now

_LEAST_TRUE_FIRST = (Fidelity.NONE, Fidelity.SIMULATED, Fidelity.SERVER)
_STRICTEST_LAST = (Tier.AUTO, Tier.HUMAN, Tier.BLOCK)

Versions = Mapping[str, str | None]
"""The version of each target by its key; None for one that is gone."""


class Weighed(Value):
    """Policy's answers of one moment, all of one revision."""

    autonomy: PolicyAnswer
    refusals: tuple[Reason, ...]
    told: tuple[AutonomyFacts, PreflightFacts]

    @property
    def tier(self) -> Tier:
        return Tier.BLOCK if self.refusals else self.autonomy.tier

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return (*self.refusals, *self.autonomy.reasons)

    def stricter_reason(self, granted: Tier) -> str | None:
        """Why less is allowed now than when the plan was granted at `granted`."""
        if _STRICTEST_LAST.index(self.tier) <= _STRICTEST_LAST.index(granted):
            return None
        return f"policy allows less than when the plan was granted: {'; '.join(each.msg for each in self.reasons)}"

    def record(self, plan: FixPlan, tier: Tier, reasons: Refusal) -> DecisionRecord:
        """The record of the decision that came of it."""
        made = policy_record(plan, self.told, self.autonomy.revision, tier, reasons)
        return made.model_copy(update={"threshold": self.autonomy.threshold})


class Weighing:
    def __init__(self, database: Database, policy: Policy, catalog: Mapping[str, Action]) -> None:
        self._database = database
        self._policy = policy
        self._catalog = catalog

    async def weigh(self, plan: FixPlan, runs: tuple[DryRun, ...], found: Versions, conflicts: tuple[str, ...] = ()) -> Weighed:
        """What policy says of the plan, its dry-runs, the versions found, and the `conflicts` that hold its targets.

        Raises:
            UnavailableError: policy cannot be asked.
        """
        async with self._database.transaction(plan.org) as session:
            org = await identities.get_org(session, plan.org)
            kinds = await _kinds(session, plan)
            moment = await now(session)
        facts = plan_facts(plan, runs, self._catalog)
        free = AutonomyFacts(plan=facts, kinds=kinds, automatic_released=org.automatic_released)
        autonomy = await self._policy.autonomy(free)
        steps = tuple(_step_facts(plan, run, found) for run in runs)
        held = PreflightFacts(plan=facts, steps=steps, tier=autonomy.tier, conflicts=conflicts, now=moment)
        return Weighed(autonomy=autonomy, refusals=await self._policy.preflight(held), told=(free, held))


async def versions_of(runner: Runner, plan: FixPlan) -> Versions:
    """The plan's targets as the runner finds them now; every effect reads its target's once more."""
    found: dict[str, str | None] = {}
    for target in plan.targets:
        try:
            found[target.key] = (await runner.target(plan.org, target)).version
        except NotFoundError:
            found[target.key] = None
    return found


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


def _step_facts(plan: FixPlan, run: DryRun, found: Versions) -> StepFacts:
    step = plan.steps[run.step]
    return StepFacts(
        index=step.index,
        tool=step.do.tool,
        argv=step.do.argv,
        target=TargetFacts(key=step.target.key, version=step.target.version, found=found.get(step.target.key)),
        dry_run=DryRunFacts(fidelity=run.fidelity, passed=run.passed),
    )
