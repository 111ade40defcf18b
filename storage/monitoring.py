"""Figures over the runs of a pipeline, read from their rows."""

from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import PipelineId
from domain.monitoring import DominantError, Snapshot, Spread

_MOST_ERRORS = 10
_RUNS = text(
    """
with ended as (
  select status,
    extract(epoch from finished_at - started_at) as duration, extract(epoch from started_at - created_at) as latency
  from executions
  where pipeline_id = :pipeline and status in ('succeeded', 'failed', 'cancelled')
    and finished_at > suture.now() - cast(:window as interval)
)
select suture.now() as at, count(*) as runs, count(*) filter (where status = 'failed') as failures,
  percentile_cont(0.5) within group (order by duration) as duration_median,
  percentile_cont(0.95) within group (order by duration) as duration_p95,
  percentile_cont(0.5) within group (order by latency) as latency_median,
  percentile_cont(0.95) within group (order by latency) as latency_p95
from ended"""
)
_ATTEMPTS = text(
    """
with tried as (
  select a.number, (a.result->>'peak_memory')::float8 as memory,
    extract(epoch from (a.result->>'cpu')::interval)
      / nullif(extract(epoch from (a.result->>'wall')::interval), 0) as cpu
  from stage_attempts a join executions e on e.id = a.execution_id
  where e.pipeline_id = :pipeline and a.kind = 'run' and a.ended_at > suture.now() - cast(:window as interval)
)
select count(*) filter (where number > 1) as retries,
  percentile_cont(0.5) within group (order by cpu) as cpu_median, percentile_cont(0.95) within group (order by cpu) as cpu_p95,
  percentile_cont(0.5) within group (order by memory) as memory_median,
  percentile_cont(0.95) within group (order by memory) as memory_p95
from tried"""
)
_ERRORS = text(
    """
select failed_stage as stage, error_code, count(*) as count from executions
where pipeline_id = :pipeline and error_code is not null
  and coalesce(finished_at, started_at) > suture.now() - cast(:window as interval)
group by 1, 2 order by 3 desc, 1, 2 limit :most"""
)


async def snapshot(session: AsyncSession, pipeline: PipelineId, window: timedelta) -> Snapshot:
    wanted: dict[str, Any] = {"pipeline": pipeline, "window": window}
    runs = (await session.execute(_RUNS, wanted)).mappings().one()
    attempts = (await session.execute(_ATTEMPTS, wanted)).mappings().one()
    errors = (await session.execute(_ERRORS, wanted | {"most": _MOST_ERRORS})).mappings()
    return Snapshot(
        pipeline=pipeline,
        window=window,
        at=runs["at"],
        runs=runs["runs"],
        failures=runs["failures"],
        failure_rate=runs["failures"] / runs["runs"] if runs["runs"] else None,
        retries=attempts["retries"],
        throughput=runs["runs"] / (window.total_seconds() / 3600),
        duration=_spread(runs, "duration"),
        latency=_spread(runs, "latency"),
        cpu=_spread(attempts, "cpu"),
        memory=_spread(attempts, "memory"),
        errors=tuple(DominantError.model_validate(dict(each)) for each in errors),
    )


def _spread(row: RowMapping, name: str) -> Spread | None:
    median, p95 = row[f"{name}_median"], row[f"{name}_p95"]
    return None if median is None else Spread(median=median, p95=p95)
