"""What policy is told and what it answers: facts in; tiers, reasons and approval rules out."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from domain.base import Instant, OrgId, PrincipalId, Value
from domain.evidence import EvidenceKind
from domain.identity import Caller, Kind, Role
from domain.plan import FixPlan, Reversibility, Risk

# Words of `domain.preflight` and `domain.approval`, which stand on this file and so cannot be named here.
FidelityWord = Annotated[str, StringConstraints(pattern="^(server|simulated|none)$")]
ChoiceWord = Annotated[str, StringConstraints(pattern="^(approve|reject|revoke)$")]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Tier(StrEnum):
    AUTO = "auto"
    HUMAN = "human"
    BLOCK = "block"


class Reason(Value):
    """Why policy answers as it does: a code for machines and a sentence for people."""

    code: str
    msg: str


Refusal = tuple[Reason, ...]
"""Everything that speaks against an act; empty means that it is allowed."""


class PolicyAnswer(Value):
    """How free a plan is, and the policy that said so."""

    tier: Tier
    reasons: tuple[Reason, ...]
    revision: str
    rule: str
    threshold: float | None = None


class ApprovalRule(Value):
    """What policy demands of people: how many, of which roles, and how fast."""

    quorum: int = Field(ge=1)
    roles: tuple[Role, ...] = Field(min_length=1)
    ladder: tuple[Role, ...] = Field(min_length=1)
    decide_within: timedelta = Field(gt=timedelta(0))
    execute_within: timedelta = Field(gt=timedelta(0))
    remind_after: timedelta = Field(gt=timedelta(0))
    escalate_after: timedelta = Field(gt=timedelta(0))
    distinct_teams: bool
    revision: str = ""


class PrincipalFacts(Value):
    """Who asks, as the verified credential and the database show it."""

    id: PrincipalId
    org: OrgId
    kind: Kind
    roles: frozenset[Role]
    is_active: bool
    scopes: frozenset[str]

    @classmethod
    def of(cls, caller: Caller) -> Self:
        who = caller.principal
        return cls(id=who.id, org=who.org, kind=who.kind, roles=who.roles, is_active=who.is_active, scopes=caller.scopes)


class ResourceFacts(Value):
    """What the act is about."""

    type: str
    org: OrgId
    environment: str | None = None


class AuthorizationFacts(Value):
    """One act (`noun.verb`) that a principal asks for."""

    action: str = Field(min_length=1)
    principal: PrincipalFacts
    resource: ResourceFacts


class PlanFacts(Value):
    """What policy weighs of a plan; `fidelity` is that of its least true dry-run."""

    environment: str = Field(min_length=1)
    is_production: bool
    action: str = Field(min_length=1)
    risk: Risk
    reversibility: Reversibility
    confidence: Confidence | None
    steps: int = Field(ge=1)
    blast_radius: int = Field(ge=0)
    fidelity: FidelityWord

    @classmethod
    def of(cls, plan: FixPlan, *, blast_radius: int, fidelity: str) -> Self:
        return cls(
            environment=plan.environment,
            is_production=plan.is_production,
            action=plan.action,
            risk=plan.risk,
            reversibility=plan.reversibility,
            confidence=plan.confidence,
            steps=len(plan.steps),
            blast_radius=blast_radius,
            fidelity=fidelity,
        )


class AutonomyFacts(Value):
    """What decides whether a plan runs alone; an org's own `min_confidence` can only be stricter."""

    plan: PlanFacts
    kinds: frozenset[EvidenceKind]
    automatic_released: bool
    min_confidence: Confidence | None = None


class ApprovalFacts(Value):
    """The plan that people would have to agree to."""

    plan: PlanFacts


class DecisionFacts(Value):
    """One principal who wants to decide on one plan; `issuer` is who issued the token."""

    plan: PlanFacts
    principal: PrincipalId
    issuer: PrincipalId
    kind: Kind
    roles: frozenset[Role]
    is_active: bool
    choice: ChoiceWord
    excluded: frozenset[PrincipalId]


class TargetFacts(Value):
    """A target with the version the planner read and the one found now; None when it is gone."""

    key: str = Field(min_length=1)
    version: str
    found: str | None


class DryRunFacts(Value):
    fidelity: FidelityWord
    passed: bool


class StepFacts(Value):
    index: int
    tool: str = Field(min_length=1)
    argv: tuple[str, ...] = Field(min_length=1)
    target: TargetFacts
    dry_run: DryRunFacts


class PreflightFacts(Value):
    """A plan with what was just read about it: versions, dry-runs, switches, plans in its way, budget left."""

    plan: PlanFacts
    steps: tuple[StepFacts, ...] = Field(min_length=1)
    tier: Tier
    switches: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    budget: Annotated[float, Field(allow_inf_nan=False)] | None = None
    now: Instant
