"""Fixing: ask for a plan, see what its preflight says, approve it by its name, have it executed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Self

from fastapi import APIRouter, Response

from api.deps import AskingRoute, Caller, KeyedRoute, Reason, RequestKey, Services, Short, Shown, etag_of, guarded
from domain.base import Digest, IncidentId, Instant, PlanId, PreflightId, PrincipalId, RequestId, Value
from domain.errors import (
    ApprovalClosedError,
    ConflictError,
    GrantUsedError,
    InvalidError,
    NotFoundError,
    SeparationOfDutiesError,
    StalePlanError,
)
from domain.plan import Excluded, FixPlan, Mode, PlanState, PlanStatus, Reversibility, Risk, Step
from domain.policy import Reason as PolicyReason
from domain.policy import Tier
from domain.preflight import Drift, DryRun, Preflight
from services.approvals import Submitted
from services.planning import PlanView

router = APIRouter(prefix="/fix", tags=["fix"], route_class=KeyedRoute)
asking = APIRouter(prefix="/fix", tags=["fix"], route_class=AskingRoute)
_LATER = {202: "stored; it counts as soon as the workflow has taken it"}


class PlanIn(Value):
    """`auto` executes as soon as it is granted; `suggest` waits for an operator. A strategy is an action's name."""

    incident_id: IncidentId
    mode: Mode = Mode.SUGGEST
    strategy: Short | None = None


class PlanNamed(Value):
    plan_id: PlanId


class ApproveIn(Value):
    plan_id: PlanId
    notes: Reason = ""


class Runner(StrEnum):
    """`agent` is the runner that the target's kind names; `dryrun` changes nothing."""

    GITOPS = "gitops"
    AGENT = "agent"
    DRYRUN = "dryrun"


class ExecuteIn(Value):
    plan_id: PlanId
    runner: Runner = Runner.AGENT


class PreflightOut(Shown):
    names: ClassVar[Mapping[str, str]] = {"plan_id": "plan"}
    id: PreflightId
    plan_id: PlanId
    digest: Digest
    passed: bool
    tier: Tier
    dry_runs: tuple[DryRun, ...]
    drift: tuple[Drift, ...]
    refusals: tuple[PolicyReason, ...]
    reasons: tuple[PolicyReason, ...]
    policy_revision: str
    valid_until: Instant


class PlanOut(Shown):
    """A plan as it stands; `diff` is what it would do, one command a line, everything invisible escaped."""

    names: ClassVar[Mapping[str, str]] = {"incident_id": "incident"}
    id: PlanId
    incident_id: IncidentId
    environment: str
    action: str
    summary: str
    why: str
    risk: Risk
    risk_score: float
    reversibility: Reversibility
    confidence: float
    mode: Mode
    steps: tuple[Step, ...]
    runner: str
    runner_version: str
    policy_revision: str
    excluded: tuple[Excluded, ...]
    authors: tuple[PrincipalId, ...]
    requested_by: PrincipalId | None
    supersedes: PlanId | None
    digest: Digest
    status: PlanStatus | None = None
    diff: str = ""
    preflight: PreflightOut | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None

    @classmethod
    def of_state(cls, state: PlanState, preflight: Preflight | None = None) -> Self:
        frozen = {name: getattr(state.plan, cls.names.get(name, name)) for name in cls.model_fields if name not in _STANDING}
        standing = {name: getattr(state, name) for name in ("status", "created_at", "updated_at")}
        shown = PreflightOut.of(preflight) if preflight else None
        return cls.model_validate(frozen | standing | {"diff": diff(state.plan), "preflight": shown})

    @classmethod
    def of_view(cls, view: PlanView) -> Self:
        return cls.of_state(view.state, view.preflight)


_STANDING = frozenset({"status", "diff", "preflight", "created_at", "updated_at"})


class SubmittedOut(Value):
    """A stored request and what it came to, if that is known already."""

    request_id: RequestId | None
    plan_id: PlanId
    settled: bool
    plan: PlanOut


@router.post("/plan", status_code=201, **guarded("plan.create", NotFoundError, ConflictError))
async def plan(body: PlanIn, response: Response, caller: Caller, services: Services) -> PlanOut:
    """The incident's open plan, or a new one for its likeliest cause."""
    state = await services.planning.propose(caller, body.incident_id, body.mode, body.strategy)
    response.headers["Location"] = f"/api/v1/fix/plans/{state.plan.id.shown}"
    return PlanOut.of_state(state)


@router.post(
    "/preflight",
    **guarded("plan.preflight", NotFoundError, StalePlanError, answers={202: "the preflight is not done yet"}),
)
async def preflight(body: PlanNamed, response: Response, caller: Caller, services: Services) -> PlanOut:
    """The plan with what its dry-runs, drift check and policy said."""
    view = await services.planning.preflighted(caller, body.plan_id)
    response.status_code = 200 if view.preflight else 202
    return PlanOut.of_view(view)


@asking.post(
    "/approve",
    **guarded("approval.decide", NotFoundError, ConflictError, ApprovalClosedError, SeparationOfDutiesError, answers=_LATER),
)
async def approve(body: ApproveIn, response: Response, caller: Caller, services: Services, request: RequestKey) -> SubmittedOut:
    """Approve a plan by naming it: a plan never changes, so its name is its digest."""
    submitted = await services.approvals.approve_plan(caller, body.plan_id, reason=body.notes, request=request)
    return await _submitted(submitted, body.plan_id, response, caller, services)


@asking.post(
    "/execute",
    **guarded("plan.execute", NotFoundError, ConflictError, StalePlanError, GrantUsedError, answers=_LATER),
)
async def execute(body: ExecuteIn, response: Response, caller: Caller, services: Services, request: RequestKey) -> SubmittedOut:
    """Execute a granted plan; `dryrun` shows what its rehearsal said instead."""
    match body.runner:
        case Runner.AGENT:
            submitted = await services.approvals.request_execution(caller, body.plan_id, request=request)
            return await _submitted(submitted, body.plan_id, response, caller, services)
        case Runner.DRYRUN:
            view = await services.planning.preflighted(caller, body.plan_id)
            response.status_code = 200 if view.preflight else 202
            settled = view.preflight is not None
            return SubmittedOut(request_id=None, plan_id=body.plan_id, settled=settled, plan=PlanOut.of_view(view))
        case Runner.GITOPS:
            await services.planning.view(caller, body.plan_id)
            raise InvalidError("the plan's targets are not kept in a repository: use the runner agent", pointer="/runner")


@router.get("/plans/{plan_id}", **guarded("plan.read", NotFoundError))
async def get(plan_id: PlanId, response: Response, caller: Caller, services: Services) -> PlanOut:
    view = await services.planning.view(caller, plan_id)
    response.headers["ETag"] = etag_of(view.state.digest)
    return PlanOut.of_view(view)


def diff(plan: FixPlan) -> str:
    """What would be done and undone, as people read it: one argument a line, whatever cannot be seen escaped."""
    lines = []
    for step in plan.steps:
        lines += [f"step {step.index}: {step.summary}", f"  target {step.target.key} at version {step.target.version}"]
        lines += [f"+ {argument}" for argument in (step.do.tool, *step.do.argv)]
        lines += [f"- {argument}" for argument in ((step.undo.tool, *step.undo.argv) if step.undo else ())]
    return "\n".join(visible(line) for line in lines)


def visible(text: str) -> str:
    """The text with every character that prints nothing, or moves others about, written as its code."""
    return "".join(letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in text)


async def _submitted(
    submitted: Submitted, plan_id: PlanId, response: Response, caller: Caller, services: Services
) -> SubmittedOut:
    response.status_code = 200 if submitted.settled else 202
    response.headers["Location"] = f"/api/v1/fix/plans/{plan_id.shown}"
    view = await services.planning.view(caller, plan_id)
    return SubmittedOut(request_id=submitted.request, plan_id=plan_id, settled=submitted.settled, plan=PlanOut.of_view(view))
