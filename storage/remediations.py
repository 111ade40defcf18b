"""What acting leaves behind: leases, snapshots, commands with their receipts, resumptions, verdicts."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col, select

from domain.base import CommandId, ExecutionId, GrantId, IncidentId, OrgId, PlanId, ResumptionId
from domain.errors import LeaseLostError, NotFoundError
from domain.outcome import Receipt, Snapshot, StepResult, Verdict, VerdictOutcome
from domain.plan import Command, Direction, FixPlan, Step
from domain.resumption import Resumption, ResumptionOutcome
from storage.engine import document, moment
from storage.plans import PlanRow


class LeaseRow(SQLModel, table=True):
    __tablename__ = "leases"
    org_id: UUID = Field(primary_key=True)
    target: str = Field(primary_key=True)
    fence: int
    holder: str | None = None
    lease_until: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class SnapshotRow(SQLModel, table=True):
    __tablename__ = "snapshots"
    org_id: UUID = Field(primary_key=True)
    plan_id: UUID = Field(primary_key=True)
    target: str = Field(primary_key=True)
    version: str
    content: dict[str, Any] = Field(sa_column=document())
    created_at: datetime | None = Field(default=None, sa_column=moment())


class CommandRow(SQLModel, table=True):
    __tablename__ = "commands"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    plan_id: UUID
    step: int
    kind: str
    key: str
    tool: str
    script: str
    environment: str
    target: str
    grant_id: UUID | None = None
    remediation: str
    fence: int | None = None
    dryrun_output: str | None = None
    result: str | None = None
    exit_code: int | None = None
    version: str | None = None
    started_at: datetime | None = Field(default=None, sa_column=moment())
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class ReceiptRow(SQLModel, table=True):
    __tablename__ = "receipts"
    org_id: UUID = Field(primary_key=True)
    command_id: UUID = Field(primary_key=True)
    key: str
    content: dict[str, Any] = Field(sa_column=document())
    digest: str
    signature: str
    created_at: datetime | None = Field(default=None, sa_column=moment())


class ResumptionRow(SQLModel, table=True):
    __tablename__ = "resumptions"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    execution_id: UUID
    plan_id: UUID | None = None
    incident_id: UUID
    key: str
    from_stage: str
    until_stage: str
    config_version: int
    outcome: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=moment())
    finished_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class VerdictRow(SQLModel, table=True):
    __tablename__ = "verdicts"
    org_id: UUID = Field(primary_key=True)
    plan_id: UUID = Field(primary_key=True)
    outcome: str
    content: dict[str, Any] = Field(sa_column=document())
    created_at: datetime | None = Field(default=None, sa_column=moment())


async def take_lease(session: AsyncSession, org: OrgId, target: str, *, holder: str, for_: timedelta) -> int:
    """The fencing token under which `holder` now has `target`; the same holder again gets a newer token.

    Raises:
        LeaseLostError: somebody else holds it.
    """
    until = func.suture.now() + for_
    statement = (
        insert(LeaseRow)
        .values(org_id=org, target=target, fence=1, holder=holder, lease_until=until)
        .on_conflict_do_update(
            index_elements=["org_id", "target"],
            set_={"fence": LeaseRow.fence + 1, "holder": holder, "lease_until": until},
            where=or_(
                col(LeaseRow.holder).is_(None), col(LeaseRow.holder) == holder, col(LeaseRow.lease_until) < func.suture.now()
            ),
        )
        .returning(col(LeaseRow.fence))
    )
    fence = (await session.execute(statement)).scalar_one_or_none()
    if fence is None:
        raise LeaseLostError(f"{target} is held by another remediation")
    return int(fence)


async def conflicts(session: AsyncSession, plan: FixPlan) -> tuple[str, ...]:
    """The plan's targets that another remediation holds right now."""
    statement = select(LeaseRow.target).where(
        col(LeaseRow.target).in_([target.key for target in plan.targets]),
        col(LeaseRow.holder).is_not(None),
        col(LeaseRow.holder) != f"fix/{plan.org}/{plan.id}",
        col(LeaseRow.lease_until) > func.suture.now(),
    )
    return tuple(await session.scalars(statement))


async def check_lease(session: AsyncSession, target: str, *, holder: str, fence: int, for_: timedelta) -> None:
    """Renew the lease held under `fence`, locking it until the transaction ends.

    Raises:
        LeaseLostError: a newer token has been given out.
    """
    statement = (
        update(LeaseRow)
        .where(col(LeaseRow.target) == target, col(LeaseRow.holder) == holder, col(LeaseRow.fence) == fence)
        .values(lease_until=func.greatest(col(LeaseRow.lease_until), func.suture.now() + for_))
        .returning(col(LeaseRow.fence))
    )
    if (await session.execute(statement)).first() is None:
        raise LeaseLostError(f"{target} is no longer held under token {fence}")


async def release_lease(session: AsyncSession, target: str, *, holder: str) -> None:
    statement = update(LeaseRow).where(col(LeaseRow.target) == target, col(LeaseRow.holder) == holder)
    await session.execute(statement.values(holder=None, lease_until=None))


async def add_snapshot(session: AsyncSession, org: OrgId, snapshot: Snapshot) -> None:
    """Keep the first snapshot of a target for a plan; a repeated call keeps it too."""
    values = {"org_id": org, "plan_id": snapshot.plan, **snapshot.model_dump(include={"target", "version", "content"})}
    await session.execute(insert(SnapshotRow).values(values).on_conflict_do_nothing())


async def snapshots(session: AsyncSession, plan: PlanId) -> list[Snapshot]:
    rows = await session.scalars(select(SnapshotRow).where(SnapshotRow.plan_id == plan).order_by(col(SnapshotRow.target)))
    return [Snapshot(plan=PlanId.of(row.plan_id), target=row.target, version=row.version, content=row.content) for row in rows]


async def add_command(
    session: AsyncSession,
    plan: FixPlan,
    step: Step,
    *,
    command: CommandId,
    direction: Direction,
    told: Command,
    grant: GrantId,
    remediation: str,
    fence: int,
) -> CommandId:
    """The intent to run one step once; the one that already stands under the same key, if there is one."""
    key = plan.key(step, direction)
    values = {
        "org_id": plan.org,
        "id": command,
        "plan_id": plan.id,
        "step": step.index,
        "kind": str(direction),
        "key": key,
        "tool": told.tool,
        "script": told.script,
        "environment": plan.environment,
        "target": step.target.key,
        "grant_id": grant,
        "remediation": remediation,
        "fence": fence,
    }
    await session.execute(
        insert(CommandRow)
        .values(values)
        .on_conflict_do_nothing(index_elements=["org_id", "key"], index_where=text("kind <> 'dry_run'"))
    )
    found = (await session.scalars(select(CommandRow.id).where(CommandRow.key == key, CommandRow.kind == str(direction)))).one()
    return CommandId.of(found)


async def command(session: AsyncSession, key: str) -> CommandId | None:
    """The intent that stands under `key`."""
    found = await session.scalar(select(CommandRow.id).where(CommandRow.key == key, CommandRow.kind != "dry_run"))
    return CommandId.of(found) if found else None


async def add_dry_run(
    session: AsyncSession, plan: FixPlan, step: Step, *, command: CommandId, passed: bool, output: str
) -> None:
    values = {
        "org_id": plan.org,
        "id": command,
        "plan_id": plan.id,
        "step": step.index,
        "kind": "dry_run",
        "key": f"{plan.id}/{step.index}/dry_run",
        "tool": step.do.tool,
        "script": step.do.script,
        "environment": plan.environment,
        "target": step.target.key,
        "remediation": "",
        "dryrun_output": output,
        "exit_code": 0 if passed else 1,
        "ended_at": func.suture.now(),
    }
    await session.execute(insert(CommandRow).values(values))


async def mark_applied(session: AsyncSession, key: str, result: StepResult) -> None:
    """Note in the effect's own transaction that it happened, and the version it left."""
    statement = update(CommandRow).where(col(CommandRow.key) == key, col(CommandRow.kind) != "dry_run")
    await session.execute(statement.values(result=result.output, exit_code=result.exit_code, version=result.version))


async def applied(session: AsyncSession, key: str) -> StepResult | None:
    """What the effect under `key` came to when it happened, or None if it has not."""
    row = await session.scalar(select(CommandRow).where(CommandRow.key == key, CommandRow.kind != "dry_run"))
    if row is None or row.version is None:
        return None
    return StepResult(exit_code=row.exit_code or 0, output=row.result or "", version=row.version)


async def started_at(session: AsyncSession, command: CommandId) -> datetime:
    moment_: datetime = (await session.scalars(select(CommandRow.started_at).where(CommandRow.id == command))).one()
    return moment_


async def add_receipt(session: AsyncSession, org: OrgId, receipt: Receipt, *, digest: str, signature: str) -> bool:
    """Whether this call wrote it; a step has one receipt per direction."""
    values = {
        "org_id": org,
        "command_id": receipt.command,
        "key": receipt.key,
        "content": receipt.model_dump(mode="json"),
        "digest": digest,
        "signature": signature,
    }
    statement = insert(ReceiptRow).values(values).on_conflict_do_nothing().returning(col(ReceiptRow.key))
    if (await session.execute(statement)).first() is None:
        return False
    ended = {"result": receipt.tail or receipt.head, "exit_code": receipt.exit_code, "ended_at": func.suture.now()}
    await session.execute(update(CommandRow).where(col(CommandRow.id) == receipt.command).values(**ended))
    return True


async def receipt(session: AsyncSession, key: str) -> Receipt | None:
    row = await session.scalar(select(ReceiptRow).where(ReceiptRow.key == key))
    return Receipt.model_validate(row.content) if row else None


async def receipts(session: AsyncSession, plan: PlanId) -> list[Receipt]:
    """The plan's receipts in the order they were written."""
    statement = select(ReceiptRow).where(col(ReceiptRow.key).startswith(f"{plan}/")).order_by(col(ReceiptRow.created_at))
    return [Receipt.model_validate(row.content) for row in await session.scalars(statement)]


async def add_resumption(session: AsyncSession, org: OrgId, resumption: Resumption) -> ResumptionId:
    """The resumption that stands under this key: this one, or the one that was first."""
    values = resumption.model_dump(exclude={"id", "execution", "plan", "incident", "outcome", "created_at"}) | {
        "org_id": org,
        "id": resumption.id,
        "execution_id": resumption.execution,
        "plan_id": resumption.plan,
        "incident_id": resumption.incident,
    }
    await session.execute(insert(ResumptionRow).values(values).on_conflict_do_nothing(index_elements=["org_id", "key"]))
    return ResumptionId.of((await session.scalars(select(ResumptionRow.id).where(ResumptionRow.key == resumption.key))).one())


async def resumption(session: AsyncSession, resumption_id: ResumptionId) -> Resumption:
    """Raises NotFoundError: no such resumption in the caller's org."""
    row = await session.scalar(select(ResumptionRow).where(ResumptionRow.id == resumption_id))
    if row is None:
        raise NotFoundError(f"no resumption {resumption_id.shown}")
    return _to_resumption(row)


async def resumption_of(session: AsyncSession, key: str) -> Resumption | None:
    row = await session.scalar(select(ResumptionRow).where(ResumptionRow.key == key))
    return _to_resumption(row) if row else None


async def open_resumption(session: AsyncSession, execution: ExecutionId) -> Resumption | None:
    """The latest resumption of a run that has no outcome yet."""
    statement = (
        select(ResumptionRow)
        .where(ResumptionRow.execution_id == execution, col(ResumptionRow.outcome).is_(None))
        .order_by(col(ResumptionRow.id).desc())
        .limit(1)
    )
    row = await session.scalar(statement)
    return _to_resumption(row) if row else None


async def finish_resumption(session: AsyncSession, resumption_id: ResumptionId, outcome: ResumptionOutcome) -> None:
    statement = (
        update(ResumptionRow)
        .where(col(ResumptionRow.id) == resumption_id, col(ResumptionRow.outcome).is_(None))
        .values(outcome=str(outcome), finished_at=func.suture.now())
    )
    await session.execute(statement)


async def add_verdict(session: AsyncSession, org: OrgId, verdict: Verdict) -> None:
    values = {
        "org_id": org,
        "plan_id": verdict.plan,
        "outcome": str(verdict.outcome),
        "content": verdict.model_dump(mode="json"),
    }
    await session.execute(insert(VerdictRow).values(values).on_conflict_do_nothing())


async def verdict(session: AsyncSession, plan: PlanId) -> Verdict | None:
    row = await session.scalar(select(VerdictRow).where(VerdictRow.plan_id == plan))
    return Verdict.model_validate(row.content) if row else None


async def was_resumed(session: AsyncSession, incident: IncidentId) -> bool:
    """Whether a run has ever gone on because of `incident`."""
    return await session.scalar(select(ResumptionRow.id).where(ResumptionRow.incident_id == incident).limit(1)) is not None


async def ineffective(session: AsyncSession, incident: IncidentId) -> frozenset[str]:
    """The actions whose plan for `incident` was judged and did not pass."""
    statement = (
        select(PlanRow.action)
        .join(VerdictRow, (col(VerdictRow.plan_id) == col(PlanRow.id)) & (col(VerdictRow.org_id) == col(PlanRow.org_id)))
        .where(PlanRow.incident_id == incident, VerdictRow.outcome != str(VerdictOutcome.PASS))
    )
    return frozenset(await session.scalars(statement))


def _to_resumption(row: ResumptionRow) -> Resumption:
    return Resumption(
        id=ResumptionId.of(row.id),
        execution=ExecutionId.of(row.execution_id),
        plan=PlanId.of(row.plan_id) if row.plan_id else None,
        incident=IncidentId.of(row.incident_id),
        key=row.key,
        from_stage=row.from_stage,
        until_stage=row.until_stage,
        config_version=row.config_version,
        outcome=ResumptionOutcome(row.outcome) if row.outcome else None,
        created_at=row.created_at,
    )
