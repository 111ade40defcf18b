"""The real incident workflow on activities that do nothing: fixed small answers that lead from diagnosis to verified."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from temporalio import activity
from temporalio.client import Client, WorkflowUpdateStage

from domain.approval import ApprovalStatus, RequestKind, Settled, Standing
from domain.base import ApprovalId, IncidentId, OrgId, PlanId, PreflightId, RequestId, Value
from domain.incident import Incident, Severity, Status
from domain.outcome import Begun, RemediationEnd, StepOutcome, StepRef, VerdictOutcome, VerifyLook
from domain.plan import Command, EffectClass, FixPlan, Mode, PlanState, PlanStatus, Reversibility, Risk, Step, Target
from domain.policy import Tier
from domain.preflight import DryRun, DryRuns, Fidelity, Preflighted
from domain.refs import IncidentEnd, IncidentRef, PlanRef, PlanWish, RequestRef, incident_workflow_id
from workflows.carrying import Carrying

V = TypeVar("V", bound=Value | None)
ENVIRONMENT = "prod"
_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Stubs:
    """Everything an incident asks for. The approval comes as an update, the moment it is asked for."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._settled: dict[PlanId, asyncio.Event] = {}
        self.asked: list[int] = []
        self.answered: list[int] = []

    @activity.defn
    async def look_at_incident(self, ref: IncidentRef) -> Incident:
        return self._sized(ref, _incident(ref))

    @activity.defn
    async def diagnose(self, ref: IncidentRef) -> str | None:
        cause = "configuration drift in v2: key column changed 41 s before the first failure (93%)"
        self._sized(ref, ref)
        return cause

    @activity.defn
    async def plan_fix(self, wish: PlanWish) -> PlanState | None:
        return self._sized(wish, _state(wish))

    @activity.defn
    async def rehearse(self, ref: PlanRef) -> DryRuns:
        runs = tuple(DryRun(step=step, fidelity=Fidelity.SERVER, passed=True, output="passed in 1.2 s") for step in (0, 1))
        return self._sized(ref, DryRuns(plan=ref, runs=runs))

    @activity.defn
    async def judge_preflight(self, runs: DryRuns) -> Preflighted:
        judged = Preflighted(id=PreflightId(int=runs.plan.id.int), tier=Tier.HUMAN, passed=True, changed=False)
        return self._sized(runs, judged)

    @activity.defn
    async def open_approval(self, ref: PlanRef) -> Standing:
        self._settled[ref.id] = asyncio.Event()
        handle = self._client.get_workflow_handle(_carrier(ref.org, ref.id))
        request = RequestId(int=ref.id.int)
        await handle.start_update(Carrying.decide, request, id=str(request), wait_for_stage=WorkflowUpdateStage.ACCEPTED)
        return self._sized(ref, _standing(ref, ApprovalStatus.OPEN))

    @activity.defn
    async def settle_request(self, ref: RequestRef) -> Settled:
        self._settled[PlanId(int=ref.id.int)].set()
        return self._sized(ref, Settled(kind=RequestKind.DECIDE, plan=PlanId(int=ref.id.int)))

    @activity.defn
    async def tend_approval(self, ref: PlanRef) -> Standing:
        """Once per story: it answers when the decision is in, so that the number of activities is always the same."""
        await self._settled[ref.id].wait()
        del self._settled[ref.id]
        return self._sized(ref, _standing(ref, ApprovalStatus.APPROVED))

    @activity.defn
    async def begin_remediation(self, ref: PlanRef) -> Begun:
        return self._sized(ref, Begun(steps=(0, 1), environment=ENVIRONMENT))

    @activity.defn
    async def prepare_targets(self, ref: PlanRef) -> None:
        self._sized(ref, None)

    @activity.defn
    async def run_step(self, ref: StepRef) -> StepOutcome:
        self._sized(ref, None)
        return StepOutcome.DONE

    @activity.defn
    async def is_stopped(self, ref: PlanRef) -> bool:
        self._sized(ref, None)
        return False

    @activity.defn
    async def verify(self, look: VerifyLook) -> VerdictOutcome | None:
        self._sized(look, None)
        return VerdictOutcome.PASS

    @activity.defn
    async def end_remediation(self, end: RemediationEnd) -> None:
        self._sized(end, None)

    @activity.defn
    async def close_incident(self, end: IncidentEnd) -> None:
        self._sized(end, None)

    def _sized(self, asked: Value, answer: V) -> V:
        self.asked.append(len(asked.model_dump_json()))
        self.answered.append(len(answer.model_dump_json()) if answer is not None else 4)
        return answer


def carrier_of(ref: IncidentRef) -> str:
    return _carrier(ref.org, ref.id)


def _carrier(org: OrgId, number: UUID) -> str:
    return incident_workflow_id(org, ENVIRONMENT, "orders", f"{number.int:032x}"[-16:])


def _incident(ref: IncidentRef) -> Incident:
    return Incident(
        id=ref.id,
        org=ref.org,
        title="orders: stage check failed (failed)",
        signature="5" * 64,
        service="orders",
        environment=ENVIRONMENT,
        severity=Severity.SEV2,
        status=Status.OPEN,
        first_seen_at=_AT,
        last_seen_at=_AT,
        started_at=_AT,
        event_count=1,
        carrier=carrier_of(ref),
    )


def _state(wish: PlanWish) -> PlanState:
    incident = wish.incident
    plan = FixPlan(
        id=PlanId(int=incident.id.int),
        org=incident.org,
        incident=incident.id,
        environment=ENVIRONMENT,
        is_production=True,
        action="rollback_config",
        summary="roll orders back to version 1 and resume",
        why="version 2 changed `column` 41 s before the failure; version 1 passed on the same data",
        risk=Risk.LOW,
        reversibility=Reversibility.REVERSIBLE,
        confidence=0.93,
        mode=Mode.AUTO,
        steps=tuple(_step(index, incident.id) for index in (0, 1)),
        runner="pipeline",
        runner_version="1",
        policy_revision="0" * 12,
    )
    return PlanState(plan=plan, digest="d" * 64, status=PlanStatus.DRAFT, carrier=wish.carrier, created_at=_AT, updated_at=_AT)


def _step(index: int, incident: IncidentId) -> Step:
    target = Target(kind="pipeline", id=str(incident), name="orders", version="2")
    told = Command(tool="suture", argv=("restore-config", str(incident), "1"))
    return Step(index=index, summary="restore version 1", target=target, do=told, undo=told, effect=EffectClass.KEYED)


def _standing(ref: PlanRef, status: ApprovalStatus) -> Standing:
    return Standing(
        approval=ApprovalId(int=ref.id.int), status=status, look_again_in=timedelta(hours=1), decide_by=_AT + timedelta(hours=4)
    )
