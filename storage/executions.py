"""Executions of pipelines and the attempts at their stages."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import cast, func, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import Field, SQLModel, col, select

from domain.base import ExecutionId, IncidentId, Instant, OrgId, PipelineId, PrincipalId
from domain.errors import ConflictError, LeaseLostError, NotFoundError
from domain.execution import Attempt, AttemptKind, AttemptStatus, Execution, RunStatus, may_follow
from domain.stage import StageResult, SupervisorHandle
from storage.engine import document, moment

_OPEN = tuple(status for status in AttemptStatus if status.is_open)


class ExecutionRow(SQLModel, table=True):
    __tablename__ = "executions"
    org_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    pipeline_id: UUID
    schedule_id: UUID | None = None
    status: str
    config_version: int
    started_by: UUID
    failed_stage: str | None = None
    incident_id: UUID | None = None
    heal_by: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    created_at: datetime | None = Field(default=None, sa_column=moment())
    started_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    error_code: str | None = None
    error_message: str | None = None
    trace_id: str | None = None


class AttemptRow(SQLModel, table=True):
    __tablename__ = "stage_attempts"
    org_id: UUID = Field(primary_key=True)
    execution_id: UUID = Field(primary_key=True)
    stage: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    kind: str
    status: str
    config_version: int
    step_key: str
    step_version: str
    claim: UUID
    supervisor: dict[str, Any] | None = Field(default=None, sa_column=document(nullable=True))
    lease_until: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    result: dict[str, Any] | None = Field(default=None, sa_column=document(nullable=True))
    note: str | None = None
    outputs: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=moment())
    started_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


async def add(session: AsyncSession, execution: Execution) -> None:
    session.add(
        ExecutionRow(
            org_id=execution.org,
            id=execution.id,
            pipeline_id=execution.pipeline,
            status=execution.status,
            config_version=execution.config_version,
            started_by=execution.started_by,
            trace_id=execution.trace_id,
        )
    )
    await session.flush()


async def change(session: AsyncSession, execution: ExecutionId, **values: Any) -> None:
    """Set columns of one execution; `started_at=True` and `finished_at=True` mean the database's clock.

    Raises:
        ConflictError: a run has no such move to `status`.
    """
    for name in ("started_at", "finished_at"):
        if values.get(name) is True:
            values[name] = func.suture.now()
    there = update(ExecutionRow).where(col(ExecutionRow.id) == execution)
    status = values.get("status")
    if status is not None:
        there = there.where(col(ExecutionRow.status).in_([each for each in RunStatus if may_follow(each, status)]))
    changed = await session.execute(there.values(**values).returning(col(ExecutionRow.id)))
    if changed.first() is None and status is not None:
        raise ConflictError(f"the run {execution.shown} cannot become {status} any more")


async def get(session: AsyncSession, execution: ExecutionId) -> Execution:
    """Raises NotFoundError: no such execution in the caller's org."""
    return await _one(session, select(ExecutionRow).where(ExecutionRow.id == execution), execution)


async def get_for_update(session: AsyncSession, execution: ExecutionId) -> Execution:
    """As `get`, locked until the transaction ends."""
    return await _one(session, select(ExecutionRow).where(ExecutionRow.id == execution).with_for_update(), execution)


async def page(
    session: AsyncSession, *, pipeline: PipelineId | None, status: RunStatus | None, after: UUID | None, limit: int
) -> list[Execution]:
    """Executions, the newest first."""
    statement = select(ExecutionRow).order_by(col(ExecutionRow.id).desc()).limit(limit)
    if pipeline is not None:
        statement = statement.where(ExecutionRow.pipeline_id == pipeline)
    if status is not None:
        statement = statement.where(ExecutionRow.status == status)
    if after is not None:
        statement = statement.where(col(ExecutionRow.id) < after)
    return [to_value(row) for row in await session.scalars(statement)]


async def waiting_on(session: AsyncSession, incident: IncidentId) -> list[Execution]:
    """The runs that wait for `incident`, the first registered first."""
    statement = (
        select(ExecutionRow)
        .where(ExecutionRow.incident_id == incident, ExecutionRow.status == RunStatus.WAITING)
        .order_by(col(ExecutionRow.id))
    )
    return [to_value(row) for row in await session.scalars(statement)]


async def has_waited(session: AsyncSession, incident: IncidentId) -> bool:
    """Whether a run has ever waited for `incident`, as far as its row still says so."""
    return await session.scalar(select(ExecutionRow.id).where(ExecutionRow.incident_id == incident).limit(1)) is not None


async def last_succeeded(session: AsyncSession, pipeline: PipelineId, *, before: ExecutionId) -> Execution | None:
    """The latest run of `pipeline` older than `before` that went well."""
    statement = (
        select(ExecutionRow)
        .where(
            ExecutionRow.pipeline_id == pipeline,
            ExecutionRow.status == RunStatus.SUCCEEDED,
            col(ExecutionRow.id) < before,
        )
        .order_by(col(ExecutionRow.id).desc())
        .limit(1)
    )
    row = await session.scalar(statement)
    return to_value(row) if row else None


async def add_attempt(session: AsyncSession, attempt: Attempt) -> None:
    session.add(
        AttemptRow(
            org_id=attempt.org,
            execution_id=attempt.execution,
            stage=attempt.stage,
            number=attempt.number,
            kind=attempt.kind,
            status=attempt.status,
            config_version=attempt.config_version,
            step_key=attempt.step_key,
            step_version=attempt.step_version,
            claim=attempt.claim,
        )
    )
    await session.flush()


async def attempts(session: AsyncSession, execution: ExecutionId, stage: str | None = None) -> list[Attempt]:
    """The attempts at one stage, or at all, in the order they were made."""
    rows = await session.scalars(_of(select(AttemptRow), execution, stage))
    return [_to_attempt(row, row.result) for row in rows]


async def attempts_without_output(session: AsyncSession, execution: ExecutionId, stage: str | None = None) -> list[Attempt]:
    """As `attempts`, for whoever does not read what they printed, which may be much."""
    result: Any = AttemptRow.result
    silent = result.op("||")(cast({"head": "", "tail": ""}, JSONB))
    statement = select(AttemptRow, silent).options(defer(result))
    return [_to_attempt(row, result) for row, result in await session.execute(_of(statement, execution, stage))]


def _of(statement: Any, execution: ExecutionId, stage: str | None) -> Any:
    statement = statement.where(AttemptRow.execution_id == execution)
    if stage is not None:
        statement = statement.where(AttemptRow.stage == stage)
    return statement.order_by(col(AttemptRow.created_at), col(AttemptRow.number))


async def start_attempt(session: AsyncSession, attempt: Attempt, supervisor: SupervisorHandle, lease_until: Instant) -> None:
    """Note who runs the attempt, while it is still this claim's.

    Raises:
        LeaseLostError: somebody else has taken it over.
    """
    await _change_attempt(
        session,
        attempt,
        (AttemptStatus.INTENT,),
        {
            "status": AttemptStatus.STARTED,
            "supervisor": supervisor.model_dump(mode="json"),
            "lease_until": lease_until,
            "started_at": func.suture.now(),
        },
    )


async def renew_attempt(session: AsyncSession, attempt: Attempt, *, for_: timedelta) -> None:
    """Keep the attempt for the worker that holds it, from now on for so long.

    Raises:
        LeaseLostError: somebody else has taken it over.
    """
    await _change_attempt(session, attempt, _OPEN, {"lease_until": func.suture.now() + for_})


async def end_attempt(
    session: AsyncSession, attempt: Attempt, status: AttemptStatus, result: StageResult | None, *, note: str | None = None
) -> bool:
    """Store how the attempt ended, while it is still this claim's; False where this call is a repetition.

    Raises:
        LeaseLostError: somebody else has taken it over, so this result is a ghost's.
    """
    values: dict[str, Any] = {"status": status, "ended_at": func.suture.now(), "note": note}
    if result is not None:
        values |= {"result": result.model_dump(mode="json"), "outputs": result.outputs}
    try:
        await _change_attempt(session, attempt, _OPEN, values)
    except LeaseLostError:
        if await _stands(session, attempt, status):
            return False
        raise
    return True


async def _stands(session: AsyncSession, attempt: Attempt, status: AttemptStatus) -> bool:
    """Whether this claim's attempt is `status` already: the answer to an earlier call was lost."""
    return await session.scalar(_own(select(AttemptRow.number), attempt, (status,))) is not None


async def _change_attempt(
    session: AsyncSession, attempt: Attempt, allowed: tuple[AttemptStatus, ...], values: dict[str, Any]
) -> None:
    statement = _own(update(AttemptRow), attempt, allowed).values(**values).returning(col(AttemptRow.number))
    if (await session.execute(statement)).first() is None:
        raise LeaseLostError(f"attempt {attempt.number} at {attempt.stage} is no longer this worker's")


def _own(statement: Any, attempt: Attempt, allowed: tuple[AttemptStatus, ...]) -> Any:
    return statement.where(
        col(AttemptRow.execution_id) == attempt.execution,
        col(AttemptRow.stage) == attempt.stage,
        col(AttemptRow.number) == attempt.number,
        col(AttemptRow.claim) == attempt.claim,
        col(AttemptRow.status).in_(allowed),
    )


async def _one(session: AsyncSession, statement: Any, execution: ExecutionId) -> Execution:
    row = await session.scalar(statement)
    if row is None:
        raise NotFoundError(f"no execution {execution.shown}")
    return to_value(row)


def to_value(row: ExecutionRow) -> Execution:
    return Execution(
        id=ExecutionId.of(row.id),
        org=OrgId.of(row.org_id),
        pipeline=PipelineId.of(row.pipeline_id),
        status=RunStatus(row.status),
        config_version=row.config_version,
        started_by=PrincipalId.of(row.started_by),
        failed_stage=row.failed_stage,
        incident=IncidentId.of(row.incident_id) if row.incident_id else None,
        heal_by=row.heal_by,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error_code=row.error_code,
        error_message=row.error_message,
        trace_id=row.trace_id,
    )


def _to_attempt(row: AttemptRow, result: dict[str, Any] | None) -> Attempt:
    return Attempt(
        org=OrgId.of(row.org_id),
        execution=ExecutionId.of(row.execution_id),
        stage=row.stage,
        number=row.number,
        kind=AttemptKind(row.kind),
        status=AttemptStatus(row.status),
        config_version=row.config_version,
        step_key=row.step_key,
        step_version=row.step_version,
        claim=row.claim,
        supervisor=SupervisorHandle.model_validate(row.supervisor) if row.supervisor else None,
        lease_until=row.lease_until,
        result=StageResult.model_validate(result) if result else None,
        note=row.note,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
