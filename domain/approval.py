"""An approval: who may decide on one exact plan, until when, what they decided, and the right that follows."""

from datetime import timedelta
from enum import StrEnum

from domain.base import (
    ApprovalId,
    DecisionId,
    Digest,
    ExecutionId,
    GrantId,
    Instant,
    PlanId,
    PreflightId,
    PrincipalId,
    RequestId,
    TokenId,
    Value,
)
from domain.errors import ApprovalClosedError, ConflictError, ForbiddenError, SeparationOfDutiesError
from domain.identity import Principal
from domain.policy import ApprovalRule


class Choice(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class ApprovalStatus(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class RequestKind(StrEnum):
    DECIDE = "decide"
    EXECUTE = "execute"
    REVOKE = "revoke"


class DecisionRequest(Value):
    """What an authenticated person asked for; the only thing a decision is ever made from."""

    id: RequestId
    kind: RequestKind
    plan: PlanId
    approval: ApprovalId | None
    principal: PrincipalId
    token: TokenId
    choice: Choice | None
    digest: Digest
    reason: str
    auth_method: str


class Decision(Value):
    """One person's word on one digest."""

    principal: PrincipalId
    choice: Choice
    digest: Digest
    reason: str
    request: RequestId
    auth_method: str
    decided_at: Instant | None = None


class Approval(Value):
    id: ApprovalId
    plan: PlanId
    preflight: PreflightId
    execution: ExecutionId | None = None
    digest: Digest
    rule: ApprovalRule
    excluded: frozenset[PrincipalId]
    status: ApprovalStatus
    opened_at: Instant
    decided_at: Instant | None = None
    decisions: tuple[Decision, ...] = ()

    @property
    def decide_by(self) -> Instant:
        return self.opened_at + self.rule.decide_within

    def outcome(self, now: Instant) -> ApprovalStatus:
        """Rejection wins over any number of approvals; silence is a no."""
        if self.status is not ApprovalStatus.OPEN:
            return self.status
        if any(decision.choice is Choice.REJECT for decision in self.decisions):
            return ApprovalStatus.REJECTED
        if len(self._people_in_favour()) >= self.rule.quorum:
            return ApprovalStatus.APPROVED
        return ApprovalStatus.EXPIRED if now >= self.decide_by else ApprovalStatus.OPEN

    def with_decision(self, decision: Decision, *, by: Principal, issuer: PrincipalId, now: Instant) -> "Approval":
        """The approval after `decision` of `by`, whose token was issued by `issuer`.

        Raises:
            ApprovalClosedError: it is decided or expired, or the decision is about another plan.
            ForbiddenError, SeparationOfDutiesError: this principal may not decide on this plan.
            ConflictError: this person has decided already, through whichever door.
        """
        if (outcome := self.outcome(now)) is not ApprovalStatus.OPEN:
            raise ApprovalClosedError(f"the approval is {outcome}; ask for a new plan")
        if decision.digest != self.digest:
            raise ApprovalClosedError(f"the decision is about {decision.digest[:12]}, the plan is {self.digest[:12]}")
        check_may_decide(self, by, issuer)
        if any(earlier.principal == by.id for earlier in self.decisions):
            raise ConflictError("this person has decided already; one person counts once")
        return self.model_copy(update={"decisions": (*self.decisions, decision)})

    def _people_in_favour(self) -> set[PrincipalId]:
        return {decision.principal for decision in self.decisions if decision.choice is Choice.APPROVE}


def check_may_decide(approval: Approval, by: Principal, issuer: PrincipalId) -> None:
    """Refuse whoever had a hand in the plan, is no person, or lacks the role.

    Raises:
        ForbiddenError, SeparationOfDutiesError
    """
    if not by.is_person or not by.is_active:
        raise ForbiddenError("only an active person can decide")
    if by.id in approval.excluded:
        raise SeparationOfDutiesError("whoever asked for a plan, started its run or wrote its versions cannot decide on it")
    if issuer in approval.excluded:
        raise SeparationOfDutiesError(
            "this token was issued by somebody who asked for the plan, started its run or wrote its versions: "
            "decide with one of your own issuing"
        )
    if not set(approval.rule.roles) & {str(role) for role in by.roles}:
        raise ForbiddenError(f"deciding needs one of the roles {', '.join(sorted(approval.rule.roles))}")


class Standing(Value):
    """Where an approval stands, and in how long it is worth looking again."""

    approval: ApprovalId
    status: ApprovalStatus
    look_again_in: timedelta
    decide_by: Instant


class Settled(Value):
    """What a stored request came to."""

    kind: RequestKind
    plan: PlanId | None = None
    approval: Approval | None = None


class GrantStatus(StrEnum):
    UNUSED = "unused"
    CONSUMED = "consumed"
    REVOKED = "revoked"
    VOID = "void"
    EXPIRED = "expired"


class Grant(Value):
    """The single-use right to execute one digest, from people or from a policy's decision record."""

    id: GrantId
    plan: PlanId
    digest: Digest
    approval: ApprovalId | None
    decision: DecisionId | None
    status: GrantStatus
    execute_by: Instant
    consumed_by: str | None = None


class GrantStanding(Value):
    """Where a grant stands, and in how long it is worth looking again; `is_moot` when nobody needs its plan any more."""

    status: GrantStatus
    look_again_in: timedelta
    is_moot: bool = False
