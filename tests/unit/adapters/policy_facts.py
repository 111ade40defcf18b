"""What the policy tests tell policy: one principal, one harmless plan, one sound preflight."""

from datetime import UTC, datetime

from domain.base import OrgId, PrincipalId
from domain.evidence import EvidenceKind
from domain.identity import Kind, Role
from domain.plan import Reversibility, Risk
from domain.policy import (
    ApprovalFacts,
    AuthorizationFacts,
    AutonomyFacts,
    DecisionFacts,
    DryRunFacts,
    PlanFacts,
    PreflightFacts,
    PrincipalFacts,
    Refusal,
    ResourceFacts,
    StepFacts,
    TargetFacts,
    Tier,
)

ORG, OTHER_ORG = OrgId(int=1), OrgId(int=2)
ANN, BEN = PrincipalId(int=1), PrincipalId(int=2)

WHO = PrincipalFacts(
    id=ANN, org=ORG, kind=Kind.PERSON, roles=frozenset({Role.OPERATOR}), is_active=True, scopes=frozenset({"*"})
)
SERVICE = WHO.model_copy(update={"kind": Kind.SERVICE})
START = AuthorizationFacts(action="run.start", principal=WHO, resource=ResourceFacts(type="run", org=ORG))
PLAN = PlanFacts(
    environment="dev",
    is_production=False,
    action="retry_stage",
    risk=Risk.LOW,
    reversibility=Reversibility.REVERSIBLE,
    confidence=0.7,
    steps=1,
    blast_radius=1,
    fidelity="server",
)
APPROVAL = ApprovalFacts(plan=PLAN)
AUTONOMY = AutonomyFacts(plan=PLAN, kinds=frozenset({EvidenceKind.EXECUTION, EvidenceKind.LOG}), automatic_released=True)
DECISION = DecisionFacts(
    plan=PLAN,
    principal=ANN,
    issuer=ANN,
    kind=Kind.PERSON,
    roles=frozenset({Role.APPROVER}),
    is_active=True,
    choice="approve",
    excluded=frozenset({BEN}),
)
STEP = StepFacts(
    index=0,
    tool="suture",
    argv=("retry", "load"),
    target=TargetFacts(key="run/1", version="1", found="1"),
    dry_run=DryRunFacts(fidelity="server", passed=True),
)
PREFLIGHT = PreflightFacts(plan=PLAN, steps=(STEP,), tier=Tier.AUTO, now=datetime(2026, 11, 20, tzinfo=UTC))


def codes(refusal: Refusal) -> set[str]:
    return {reason.code for reason in refusal}
