"""Approvals, what people asked to decide, what counted, and the grants that follow."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, Uuid, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.approval import (
    Approval,
    ApprovalStatus,
    Choice,
    Decision,
    DecisionRequest,
    Grant,
    GrantStatus,
    RequestKind,
)
from domain.base import (
    ApprovalId,
    DecisionId,
    ExecutionId,
    GrantId,
    OrgId,
    PlanId,
    PreflightId,
    PrincipalId,
    RequestId,
    TokenId,
)
from domain.errors import ConflictError, NotFoundError
from domain.policy import ApprovalRule
from storage.engine import document, moment


class ApprovalRow(SQLModel, table=True):
    __tablename__ = "approvals"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    plan_id: UUID
    execution_id: UUID | None = None
    preflight_id: UUID
    digest: str
    required_role: str
    rule: dict[str, Any] = Field(sa_column=document())
    excluded: list[UUID] = Field(sa_column=Column(ARRAY(Uuid), nullable=False))
    status: str
    approver: UUID | None = None
    notes: str | None = None
    opened_at: datetime | None = Field(default=None, sa_column=moment())
    created_at: datetime | None = Field(default=None, sa_column=moment())
    decided_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class RequestRow(SQLModel, table=True):
    __tablename__ = "decision_requests"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    kind: str
    plan_id: UUID
    approval_id: UUID | None = None
    principal_id: UUID
    token_id: UUID
    choice: str | None = None
    digest: str
    reason: str = ""
    auth_method: str
    created_at: datetime | None = Field(default=None, sa_column=moment())


class ApprovalDecisionRow(SQLModel, table=True):
    __tablename__ = "approval_decisions"
    org_id: UUID = Field(primary_key=True)
    approval_id: UUID = Field(primary_key=True)
    principal_id: UUID = Field(primary_key=True)
    request_id: UUID
    choice: str
    digest: str
    reason: str = ""
    auth_method: str
    decided_at: datetime | None = Field(default=None, sa_column=moment())


class GrantRow(SQLModel, table=True):
    __tablename__ = "grants"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    plan_id: UUID
    digest: str
    attempt: int = 1
    approval_id: UUID | None = None
    decision_id: UUID | None = None
    status: str
    execute_by: datetime = Field(sa_column=moment())
    consumed_by: str | None = None
    consumed_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime | None = Field(default=None, sa_column=moment())


async def add(session: AsyncSession, org: OrgId, approval: Approval) -> bool:
    """Whether this call added it, opened by the database's clock; a repeated one adds nothing."""
    values = {
        "org_id": org,
        "id": approval.id,
        "plan_id": approval.plan,
        "execution_id": approval.execution,
        "preflight_id": approval.preflight,
        "digest": approval.digest,
        "required_role": approval.rule.roles[0],
        "rule": approval.rule.model_dump(mode="json"),
        "excluded": sorted(approval.excluded),
        "status": str(ApprovalStatus.OPEN),
    }
    statement = insert(ApprovalRow).values(values).on_conflict_do_nothing().returning(col(ApprovalRow.id))
    return (await session.execute(statement)).first() is not None


async def get(session: AsyncSession, approval: ApprovalId) -> Approval:
    """Raises NotFoundError: no such approval in the caller's org."""
    return await _one(session, select(ApprovalRow).where(ApprovalRow.id == approval), approval)


async def get_for_update(session: AsyncSession, approval: ApprovalId) -> Approval:
    """The approval with its decisions, locked until the transaction ends."""
    return await _one(session, select(ApprovalRow).where(ApprovalRow.id == approval).with_for_update(), approval)


async def of_plan(session: AsyncSession, plan: PlanId) -> Approval | None:
    """The latest approval asked for `plan`."""
    row = await session.scalar(
        select(ApprovalRow).where(ApprovalRow.plan_id == plan).order_by(col(ApprovalRow.id).desc()).limit(1)
    )
    return await _to_value(session, row) if row else None


async def page(session: AsyncSession, *, status: ApprovalStatus | None, after: UUID | None, limit: int) -> list[Approval]:
    """Approvals, the newest first."""
    statement = select(ApprovalRow).order_by(col(ApprovalRow.id).desc()).limit(limit)
    if status is not None:
        statement = statement.where(ApprovalRow.status == str(status))
    if after is not None:
        statement = statement.where(col(ApprovalRow.id) < after)
    return [await _to_value(session, row) for row in list(await session.scalars(statement))]


async def close(
    session: AsyncSession, approval: ApprovalId, status: ApprovalStatus, *, by: PrincipalId | None, notes: str | None
) -> bool:
    """Whether this call closed it: what is decided stays decided."""
    values = {"status": str(status), "decided_at": func.suture.now(), "approver": by, "notes": notes}
    is_open = (col(ApprovalRow.id) == approval) & (col(ApprovalRow.status) == str(ApprovalStatus.OPEN))
    statement = update(ApprovalRow).where(is_open).values(**values).returning(col(ApprovalRow.id))
    return (await session.execute(statement)).first() is not None


async def add_decision(session: AsyncSession, org: OrgId, approval: ApprovalId, decision: Decision) -> None:
    """Raises ConflictError: this person has decided already."""
    values = {
        "org_id": org,
        "approval_id": approval,
        "principal_id": decision.principal,
        "request_id": decision.request,
        "choice": str(decision.choice),
        "digest": decision.digest,
        "reason": decision.reason,
        "auth_method": decision.auth_method,
    }
    statement = insert(ApprovalDecisionRow).values(values).on_conflict_do_nothing()
    if (await session.execute(statement.returning(col(ApprovalDecisionRow.principal_id)))).first() is None:
        raise ConflictError("this person has decided already; one person counts once")


async def add_request(session: AsyncSession, org: OrgId, request: DecisionRequest) -> None:
    session.add(
        RequestRow(
            org_id=org,
            id=request.id,
            kind=request.kind,
            plan_id=request.plan,
            approval_id=request.approval,
            principal_id=request.principal,
            token_id=request.token,
            choice=request.choice,
            digest=request.digest,
            reason=request.reason,
            auth_method=request.auth_method,
        )
    )
    await session.flush()


async def get_request(session: AsyncSession, request: RequestId) -> DecisionRequest:
    """Raises NotFoundError: nobody stored such a request in the caller's org."""
    found = await find_request(session, request)
    if found is None:
        raise NotFoundError(f"no decision request {request.shown}")
    return found


async def find_request(session: AsyncSession, request: RequestId) -> DecisionRequest | None:
    row = await session.scalar(select(RequestRow).where(RequestRow.id == request))
    return _to_request(row) if row else None


async def execute_requests(session: AsyncSession, plan: PlanId, *, limit: int) -> list[DecisionRequest]:
    """The stored requests to execute `plan`, the newest first."""
    statement = select(RequestRow).where(RequestRow.plan_id == plan, RequestRow.kind == str(RequestKind.EXECUTE))
    rows = await session.scalars(statement.order_by(col(RequestRow.created_at).desc()).limit(limit))
    return [_to_request(row) for row in rows]


async def add_grant(session: AsyncSession, org: OrgId, grant: Grant) -> bool:
    """Whether this call added it; one digest has one unused grant."""
    values = {
        "org_id": org,
        "id": grant.id,
        "plan_id": grant.plan,
        "digest": grant.digest,
        "approval_id": grant.approval,
        "decision_id": grant.decision,
        "status": str(GrantStatus.UNUSED),
        "execute_by": grant.execute_by,
    }
    statement = insert(GrantRow).values(values).on_conflict_do_nothing().returning(col(GrantRow.id))
    return (await session.execute(statement)).first() is not None


async def grant_of(session: AsyncSession, plan: PlanId) -> Grant | None:
    """The plan's grant, locked until the transaction ends."""
    row = await session.scalar(
        select(GrantRow).where(GrantRow.plan_id == plan).order_by(col(GrantRow.attempt).desc()).limit(1).with_for_update(),
        execution_options={"populate_existing": True},
    )
    return _to_grant(row) if row else None


async def consume_grant(session: AsyncSession, grant: GrantId, *, by: str) -> bool:
    """Whether this call is the one that used it, in time by the database's clock."""
    statement = (
        update(GrantRow)
        .where(
            col(GrantRow.id) == grant,
            col(GrantRow.status) == str(GrantStatus.UNUSED),
            col(GrantRow.execute_by) > func.suture.now(),
        )
        .values(status=str(GrantStatus.CONSUMED), consumed_by=by, consumed_at=func.suture.now())
        .returning(col(GrantRow.id))
    )
    return (await session.execute(statement)).first() is not None


async def end_grant(session: AsyncSession, grant: GrantId, status: GrantStatus) -> bool:
    """Whether an unused grant was ended by this call."""
    statement = (
        update(GrantRow)
        .where(col(GrantRow.id) == grant, col(GrantRow.status) == str(GrantStatus.UNUSED))
        .values(status=str(status))
        .returning(col(GrantRow.id))
    )
    return (await session.execute(statement)).first() is not None


async def _one(session: AsyncSession, statement: Any, approval: ApprovalId) -> Approval:
    row = await session.scalar(statement, execution_options={"populate_existing": True})
    if row is None:
        raise NotFoundError(f"no approval {approval.shown}")
    return await _to_value(session, row)


async def _to_value(session: AsyncSession, row: ApprovalRow) -> Approval:
    statement = (
        select(ApprovalDecisionRow)
        .where(ApprovalDecisionRow.approval_id == row.id)
        .order_by(col(ApprovalDecisionRow.decided_at), col(ApprovalDecisionRow.principal_id))
    )
    return Approval(
        id=ApprovalId.of(row.id),
        plan=PlanId.of(row.plan_id),
        preflight=PreflightId.of(row.preflight_id),
        execution=ExecutionId.of(row.execution_id) if row.execution_id else None,
        digest=row.digest,
        rule=ApprovalRule.model_validate(row.rule),
        excluded=frozenset(PrincipalId.of(each) for each in row.excluded),
        status=ApprovalStatus(row.status),
        opened_at=row.opened_at,
        decided_at=row.decided_at,
        decisions=tuple(_to_decision(each) for each in await session.scalars(statement)),
    )


def _to_decision(row: ApprovalDecisionRow) -> Decision:
    return Decision(
        principal=PrincipalId.of(row.principal_id),
        choice=Choice(row.choice),
        digest=row.digest,
        reason=row.reason,
        request=RequestId.of(row.request_id),
        auth_method=row.auth_method,
        decided_at=row.decided_at,
    )


def _to_request(row: RequestRow) -> DecisionRequest:
    return DecisionRequest(
        id=RequestId.of(row.id),
        kind=RequestKind(row.kind),
        plan=PlanId.of(row.plan_id),
        approval=ApprovalId.of(row.approval_id) if row.approval_id else None,
        principal=PrincipalId.of(row.principal_id),
        token=TokenId.of(row.token_id),
        choice=Choice(row.choice) if row.choice else None,
        digest=row.digest,
        reason=row.reason,
        auth_method=row.auth_method,
    )


def _to_grant(row: GrantRow) -> Grant:
    return Grant(
        id=GrantId.of(row.id),
        plan=PlanId.of(row.plan_id),
        digest=row.digest,
        approval=ApprovalId.of(row.approval_id) if row.approval_id else None,
        decision=DecisionId.of(row.decision_id) if row.decision_id else None,
        status=GrantStatus(row.status),
        execute_by=row.execute_by,
        consumed_by=row.consumed_by,
    )
