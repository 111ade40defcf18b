"""Grants plans for the fake target, and hands them to a real `Remediation`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.actions import CATALOG
from domain.approval import Grant, GrantStatus
from domain.base import DecisionId, GrantId, PlanId, PreflightId
from domain.decision import DecisionRecord, DecisionType
from domain.incident import Severity
from domain.plan import Command, EffectClass, FixPlan, Mode, PlanStatus, Reversibility, Risk, Step, Target
from domain.policy import Tier
from domain.preflight import DryRun, Fidelity, Preflight
from domain.refs import PlanRef
from services.decisions import Decisions
from services.guard import Guard
from services.ledger import Ledger
from services.ports import Policy, Runner, Signer
from services.remediation import Remediation
from services.weighing import Weighing
from storage import approvals, decisions, incidents, plans
from storage import identity as identities
from storage.engine import Database, new_id, now
from tests.database import Tenant

LEASE = timedelta(seconds=2)
INPUTS = "0" * 64


@dataclass
class Desk:
    database: Database
    superuser: AsyncEngine
    policy: Policy
    signer: Signer
    tenant: Tenant
    runner: Runner
    ledger: Ledger
    revision: str
    plans: list[FixPlan] = field(default_factory=list)

    @classmethod
    async def make(
        cls,
        database: Database,
        superuser: AsyncEngine,
        policy: Policy,
        signer: Signer,
        tenant: Tenant,
        *,
        runner: Runner,
        ledger: Ledger,
    ) -> "Desk":
        async with database.transaction(tenant.org) as session:
            await identities.set_automatic(session, tenant.org, released=True)
        return cls(database, superuser, policy, signer, tenant, runner, ledger, await policy.revision())

    def remediation(self, *, database: Database | None = None, policy: Policy | None = None) -> Remediation:
        """As one worker has it."""
        database = database or self.database
        return Remediation(
            database,
            self.ledger,
            Guard(region="local"),
            Decisions(database),
            weighing(database, policy or self.policy),
            {self.runner.name: self.runner},
            self.signer,
            lease=LEASE,
        )

    async def granted(self, *targets: Target, commands: Sequence[Command] | None = None) -> PlanRef:
        """A production plan of one step per target (undo included) with an unused grant out of a decision record."""
        targets = targets or (a_target(),)
        async with self.database.transaction(self.tenant.org) as session:
            incident, _ = await incidents.open_or_join(
                session,
                self.tenant.org,
                signature=uuid4().hex,
                title="a fault",
                service="orders",
                environment="prod",
                severity=Severity.SEV2,
                workflow=None,
                carrier=f"inc/{self.tenant.org}/prod/orders/{uuid4().hex[:16]}",
            )
            plan = FixPlan(
                id=PlanId.of(await new_id(session)),
                org=self.tenant.org,
                incident=incident.id,
                environment="prod",
                is_production=True,
                action="retry_stage",
                summary="change the targets",
                why="a fault",
                risk=Risk.LOW,
                reversibility=Reversibility.REVERSIBLE,
                confidence=0.9,
                mode=Mode.AUTO,
                steps=tuple(_step(at, each, commands) for at, each in enumerate(targets)),
                runner=self.runner.name,
                runner_version=self.runner.version,
                policy_revision=self.revision,
            )
            await plans.add(session, plan, carrier=incident.carrier)
            await plans.add_preflight(session, await plans.get(session, plan.id), await _preflight(session, plan))
            record = DecisionRecord(
                plan=plan.id, type=DecisionType.POLICY, model="opa", inputs_hash=INPUTS, decision="auto", explanation="a test"
            )
            decision = await decisions.add(session, plan.org, record)
            await approvals.add_grant(session, plan.org, await _grant(session, plan, decision))
            await plans.set_status(session, plan.id, PlanStatus.GRANTED)
        self.plans.append(plan)
        return PlanRef(org=plan.org, id=plan.id)


def weighing(database: Database, policy: Policy) -> Weighing:
    return Weighing(database, policy, {each.name: each for each in CATALOG})


def a_target(name: str | None = None, *, version: str = "0") -> Target:
    name = name or f"service-{uuid4().hex[:8]}"
    return Target(kind="service", id=name, name=name, version=version)


def _step(index: int, target: Target, commands: Sequence[Command] | None) -> Step:
    told = commands[index] if commands else Command(tool="ledger", argv=("change", target.id))
    undo = Command(tool=told.tool, argv=("restore", target.id)) if commands is None else None
    return Step(index=index, summary="change it", target=target, do=told, undo=undo, effect=EffectClass.PROBE)


async def _preflight(session, plan: FixPlan) -> Preflight:
    """What was found before anybody agreed: every step was tried, and people were to decide."""
    return Preflight(
        id=PreflightId.of(await new_id(session)),
        plan=plan.id,
        digest=plan.digest,
        dry_runs=tuple(DryRun(step=step.index, fidelity=Fidelity.SERVER, passed=True, output="ok") for step in plan.steps),
        drift=(),
        refusals=(),
        tier=Tier.HUMAN,
        reasons=(),
        policy_revision=plan.policy_revision,
        valid_until=await now(session) + timedelta(hours=1),
    )


async def _grant(session, plan: FixPlan, decision: DecisionId) -> Grant:
    return Grant(
        id=GrantId.of(await new_id(session)),
        plan=plan.id,
        digest=plan.digest,
        approval=None,
        decision=decision,
        status=GrantStatus.UNUSED,
        execute_by=await now(session) + timedelta(minutes=10),
    )
