"""Who may decide on a plan and have it executed, and what still counts: a preflight, a grant, a person's word."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approval import Choice, Decision, DecisionRequest, Grant, GrantStatus
from domain.base import Digest, PlanId, PrincipalId, RequestId
from domain.errors import ConflictError, ForbiddenError, SeparationOfDutiesError
from domain.identity import Role
from domain.plan import FixPlan
from domain.preflight import Preflight
from storage import approvals, executions, tokens
from storage import identity as identities
from storage.engine import now


async def excluded(session: AsyncSession, plan: FixPlan) -> frozenset[PrincipalId]:
    """Who had a hand in the plan: who asked for it or for a run that waits, the authors of its versions, their owners and
    whoever issued one of them a token."""
    involved = set(plan.authors) | ({plan.requested_by} if plan.requested_by else set())
    involved |= {run.started_by for run in await executions.waiting_on(session, plan.incident)}
    for each in tuple(involved):
        principal = await identities.get_principal(session, each)
        if principal.owner is not None:
            involved.add(principal.owner)
        involved |= await tokens.issuers(session, each)
    return frozenset(involved)


async def check_may_execute(session: AsyncSession, request: DecisionRequest) -> None:
    """Raises ForbiddenError: whoever stored the request may not have the plan executed, or no longer.

    SeparationOfDutiesError: this person, or whoever issued this person's token, has approved it.
    """
    by = await identities.get_principal(session, request.principal)
    if not (by.is_person and by.is_active and Role.OPERATOR in by.roles):
        raise ForbiddenError("only an active person with the role operator executes a plan")
    token = await tokens.get_for_update(session, request.token)
    if token.revoked_at is not None:
        raise ForbiddenError("the token behind this request has been revoked")
    approval = await approvals.of_plan(session, request.plan)
    if {by.id, token.issuer} & {each.principal for each in (approval.decisions if approval else ())}:
        raise SeparationOfDutiesError("whoever approved a plan does not have it executed as well: ask another operator")


async def check_ordered(session: AsyncSession, plan: PlanId) -> None:
    """Raises ForbiddenError: nobody who may has asked to execute the plan."""
    refusal = ForbiddenError("nobody has asked to execute this plan; starting its workflow is no word to execute")
    for request in await approvals.execute_requests(session, plan, limit=20):
        try:
            return await check_may_execute(session, request)
        except ForbiddenError as error:
            refusal = error
    raise refusal


async def check_valid(session: AsyncSession, preflight: Preflight | None) -> None:
    """Raises ConflictError: what the preflight found is too old to agree to."""
    if preflight is None or preflight.valid_until <= await now(session):
        raise ConflictError("the plan's preflight is no longer valid; ask for a new plan")


async def usable_grant(session: AsyncSession, plan: PlanId) -> Grant:
    """Raises ConflictError: the plan has no grant, or it is used, ended or too old."""
    grant = await approvals.grant_of(session, plan)
    if grant is None or grant.status is not GrantStatus.UNUSED or grant.execute_by <= await now(session):
        raise ConflictError("the plan has no unused grant; ask for a new plan and approval")
    return grant


def word_of(
    by: PrincipalId,
    choice: Choice,
    digest: Digest,
    reason: str,
    auth_method: str,
    request: RequestId | None = None,
) -> Decision:
    """One person's word, before or after its request is stored."""
    return Decision(
        principal=by,
        choice=choice,
        digest=digest,
        reason=reason,
        request=request or RequestId(int=0),
        auth_method=auth_method,
    )
