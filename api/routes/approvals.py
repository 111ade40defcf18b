"""Approvals: ask people, read what they decided, decide, take back a grant that was not used."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from fastapi import APIRouter, Depends, Response
from pydantic import AliasChoices, BeforeValidator, Field

from api.deps import Caller, KeyedRoute, May, Page, PagingOf, Reason, Services, Shown, guarded
from domain.approval import Approval, ApprovalStatus, Choice, Decision
from domain.base import ApprovalId, Digest, ExecutionId, Instant, PlanId, PreflightId, PrincipalId, Value
from domain.errors import ApprovalClosedError, ConflictError, NotFoundError, SeparationOfDutiesError
from domain.identity import Role
from domain.refs import PlanRef

router = APIRouter(prefix="/approvals", tags=["approvals"], route_class=KeyedRoute)
_SAID = {"approved": "approve", "rejected": "reject", "revoked": "revoke"}


class Word(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    REVOKE = "revoke"


def _word(said: object) -> object:
    return _SAID.get(said, said) if isinstance(said, str) else said


class ApprovalIn(Value):
    plan_id: PlanId


class ApprovalChange(Value):
    """One person's word; with `digest` it counts for exactly the plan that was read."""

    choice: Annotated[Word, BeforeValidator(_word)] = Field(validation_alias=AliasChoices("choice", "status"))
    notes: Reason = Field(default="", validation_alias=AliasChoices("notes", "reviewer_notes"))
    digest: Digest | None = None


class ApprovalOut(Shown):
    names: ClassVar[Mapping[str, str]] = {
        "plan_id": "plan",
        "preflight_id": "preflight",
        "execution_id": "execution",
        "created_at": "opened_at",
    }
    id: ApprovalId
    plan_id: PlanId
    preflight_id: PreflightId
    execution_id: ExecutionId | None
    digest: Digest
    status: ApprovalStatus
    excluded: frozenset[PrincipalId]
    decisions: tuple[Decision, ...]
    created_at: Instant
    decide_by: Instant
    decided_at: Instant | None
    required_role: Role | None = None
    quorum: int = 1
    reviewer_id: PrincipalId | None = None
    reviewer_notes: str | None = None

    @classmethod
    def of_approval(cls, approval: Approval) -> Self:
        stored = cls.model_fields.keys() - {"required_role", "quorum", "reviewer_id", "reviewer_notes"}
        shown = {name: getattr(approval, cls.names.get(name, name)) for name in stored}
        last = approval.decisions[-1] if approval.decisions else None
        review = {"reviewer_id": last.principal, "reviewer_notes": last.reason} if last else {}
        return cls.model_validate(shown | review | {"required_role": approval.rule.roles[0], "quorum": approval.rule.quorum})


@router.post("", status_code=201, **guarded("plan.create", NotFoundError, ConflictError))
async def create(body: ApprovalIn, response: Response, caller: Caller, services: Services) -> ApprovalOut:
    """Ask for a decision on the plan, after a preflight that needs people; asking again finds the same approval."""
    standing = await services.asking.open(PlanRef(org=caller.org, id=body.plan_id))
    response.headers["Location"] = f"/api/v1/approvals/{standing.approval.shown}"
    return ApprovalOut.of_approval(await services.approvals.get(caller, standing.approval))


@router.get("", **guarded("approval.read"))
async def find(caller: Caller, services: Services, paging: PagingOf, status: ApprovalStatus | None = None) -> Page[ApprovalOut]:
    found = await services.approvals.page(caller, status=status, after=paging.after(ApprovalId), limit=paging.ask)
    return paging.page([ApprovalOut.of_approval(each) for each in found], lambda each: (each.id.shown,))


@router.get("/{approval_id}", **guarded("approval.read", NotFoundError))
async def get(approval_id: ApprovalId, caller: Caller, services: Services) -> ApprovalOut:
    return ApprovalOut.of_approval(await services.approvals.get(caller, approval_id))


@router.patch(
    "/{approval_id}",
    **guarded(
        "approval.decide",
        NotFoundError,
        ConflictError,
        ApprovalClosedError,
        SeparationOfDutiesError,
        answers={202: "stored; it counts as soon as the workflow has taken it"},
    ),
)
async def decide(
    approval_id: ApprovalId,
    body: ApprovalChange,
    response: Response,
    caller: Caller,
    services: Services,
    may: Annotated[May, Depends()],
) -> ApprovalOut:
    """Approve, reject, or revoke a grant that was not used yet."""
    if body.choice is Word.REVOKE:
        await may.check("approval.revoke")
        return ApprovalOut.of_approval(await services.approvals.revoke(caller, approval_id))
    choice = Choice(body.choice)
    submitted = await services.approvals.submit(caller, approval_id, choice, reason=body.notes, digest=body.digest)
    response.status_code = 200 if submitted.settled else 202
    return ApprovalOut.of_approval(await services.approvals.get(caller, approval_id))
