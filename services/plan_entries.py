"""The audit entries about plans and requests that several services write."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import SYSTEM, Actor
from domain.errors import HealError
from domain.plan import FixPlan
from domain.refs import RequestRef
from services.ledger import Ledger
from storage import audit, outbox
from storage.engine import Database


async def enter(
    ledger: Ledger, session: AsyncSession, plan: FixPlan, action: str, actor: Actor, after: Mapping[str, object]
) -> None:
    """What was done to a plan, in the caller's transaction."""
    await ledger.append(
        session,
        plan.org,
        action,
        actor=actor,
        resource_type="plan",
        resource_id=plan.id.shown,
        after=dict(after),
        incident=plan.incident,
    )


async def note_refusal(database: Database, ledger: Ledger, ref: RequestRef, refusal: HealError) -> None:
    """A request that counts no more: its letter is taken back and the refusal written down, once."""

    async def work(session: AsyncSession) -> None:
        await outbox.take_back_decision(session, ref.id)
        await ledger.append(
            session,
            ref.org,
            "request.refused",
            actor=SYSTEM,
            resource_type="request",
            resource_id=ref.id.shown,
            after={"code": refusal.code, "reason": str(refusal)},
        )

    await database.retrying(ref.org, work)


async def note_refusal_once(database: Database, ledger: Ledger, ref: RequestRef, refusal: HealError) -> None:
    """As `note_refusal`, where whoever has refused may have written it down already."""
    async with database.transaction(ref.org) as session:
        noted = await audit.count(session, action="request.refused", resource_id=ref.id.shown)
    if not noted:
        await note_refusal(database, ledger, ref, refusal)
