"""Who had a hand in a plan and so may not decide on it, and who may have a granted one executed."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approval import DecisionRequest
from domain.base import PlanId, PrincipalId
from domain.errors import ForbiddenError
from domain.identity import Role
from domain.plan import FixPlan
from storage import approvals, executions, tokens
from storage import identity as identities


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
    """Raises ForbiddenError: whoever stored the request may not have a plan executed, or no longer."""
    by = await identities.get_principal(session, request.principal)
    if not (by.is_person and by.is_active and Role.OPERATOR in by.roles):
        raise ForbiddenError("only an active person with the role operator executes a plan")
    if (await tokens.get_for_update(session, request.token)).revoked_at is not None:
        raise ForbiddenError("the token behind this request has been revoked")


async def check_ordered(session: AsyncSession, plan: PlanId) -> None:
    """Raises ForbiddenError: nobody who may has asked to execute the plan."""
    refusal = ForbiddenError("nobody has asked to execute this plan; starting its workflow is no word to execute")
    for request in await approvals.execute_requests(session, plan, limit=20):
        try:
            return await check_may_execute(session, request)
        except ForbiddenError as error:
            refusal = error
    raise refusal
