"""Pipelines and runs as targets: the version a planner reads is the version an effect finds, or it does not happen."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import ExecutionId, PipelineId
from domain.errors import InvalidError
from domain.execution import AttemptKind, Execution
from domain.plan import FixPlan, Target
from domain.versions import Pipeline
from storage import executions, pipelines
from storage.engine import now

_WITHOUT_A_RUN = timedelta(minutes=30)
_SOONEST = timedelta(minutes=1)
_MARGIN = timedelta(hours=1)


async def pipeline_target(session: AsyncSession, pipeline: Pipeline) -> Target:
    """Its version is the number and digest of the current config version."""
    version = await pipelines.version(session, pipeline.id, pipeline.version)
    return Target(kind="pipeline", id=pipeline.id.shown, name=pipeline.name, version=f"{version.version}:{version.digest[:16]}")


async def run_target(session: AsyncSession, run: Execution) -> Target:
    """Its version is its status, the failed stage, and how many attempts there have been."""
    attempts = await executions.attempts_without_output(session, run.id)
    count = sum(each.kind is not AttemptKind.DRY_RUN for each in attempts)
    version = f"{run.status}:{run.failed_stage or '-'}:{count}"
    return Target(kind="run", id=run.id.shown, name=run.id.shown, version=version)


async def look(session: AsyncSession, target: Target) -> Target:
    """As `read`, for whoever only wants to know: nothing is locked."""
    return await _found(session, target, pipelines.get, executions.get)


async def read(session: AsyncSession, target: Target) -> Target:
    """The target as it is now, locked until the transaction ends.

    Raises:
        NotFoundError: it is gone.
        InvalidError: no such kind of target.
    """
    return await _found(session, target, pipelines.get_for_update, executions.get_for_update)


async def _found(
    session: AsyncSession,
    target: Target,
    pipeline: Callable[[AsyncSession, PipelineId], Awaitable[Pipeline]],
    run: Callable[[AsyncSession, ExecutionId], Awaitable[Execution]],
) -> Target:
    match target.kind:
        case "pipeline":
            return await pipeline_target(session, await pipeline(session, PipelineId.of(target.id)))
        case "run":
            return await run_target(session, await run(session, ExecutionId.of(target.id)))
        case _:
            raise InvalidError(f"no runner knows targets of kind {target.kind}")


async def moved_reason(session: AsyncSession, plan: FixPlan, revision: str) -> str | None:
    """What is no longer as the plan was made for, in a sentence; `revision` is policy's today."""
    if revision != plan.policy_revision:
        return f"policy is at revision {revision}, the plan was made under {plan.policy_revision}"
    for target in plan.targets:
        found = await look(session, target)
        if found.version != target.version:
            return f"{target.name} is at {found.version}, the plan was made for {target.version}"
    return None


async def verify_within(session: AsyncSession, plan: FixPlan) -> timedelta:
    """How long the evidence may take: as long as the run that goes on may wait to be healed."""
    for target in plan.targets:
        if target.kind != "run":
            continue
        run = await executions.get(session, ExecutionId.of(target.id))
        if run.heal_by is not None and not run.status.is_final:
            return max(run.heal_by - await now(session), _SOONEST)
    return _WITHOUT_A_RUN


async def hold_for(session: AsyncSession, plan: FixPlan) -> timedelta:
    """How long a remediation holds its targets at most: it is durable and gives them back itself; this outlives its wait."""
    return await verify_within(session, plan) + _MARGIN
