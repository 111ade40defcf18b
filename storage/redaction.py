"""The redaction policy of each org, as a row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import OrgId
from domain.redaction import RedactionPolicy
from storage.engine import document, moment


class RedactionPolicyRow(SQLModel, table=True):
    __tablename__ = "redaction_policies"
    org_id: UUID = Field(primary_key=True)
    policy: dict[str, Any] = Field(sa_column=document())
    changed_at: datetime | None = Field(default=None, sa_column=moment())


async def get(session: AsyncSession) -> RedactionPolicy:
    """The org's, or the one that everybody begins with."""
    found = await session.scalar(select(RedactionPolicyRow.policy))
    return RedactionPolicy.model_validate(found or {})


async def put(session: AsyncSession, org: OrgId, policy: RedactionPolicy) -> None:
    values = {"policy": policy.model_dump(mode="json"), "changed_at": func.suture.now()}
    statement = insert(RedactionPolicyRow).values(org_id=org, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[col(RedactionPolicyRow.org_id)], set_=values))
