"""Pipelines and runs as targets: the version a planner reads is the version an effect finds, or it does not happen."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import ExecutionId, PipelineId
from domain.errors import InvalidError
from domain.execution import AttemptKind, Execution
from domain.plan import Target
from domain.versions import Pipeline
from storage import executions, pipelines


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


async def read(session: AsyncSession, target: Target) -> Target:
    """The target as it is now.

    Raises:
        NotFoundError: it is gone.
        InvalidError: no such kind of target.
    """
    match target.kind:
        case "pipeline":
            return await pipeline_target(session, await pipelines.get_for_update(session, PipelineId.of(target.id)))
        case "run":
            return await run_target(session, await executions.get_for_update(session, ExecutionId.of(target.id)))
        case _:
            raise InvalidError(f"no runner knows targets of kind {target.kind}")
