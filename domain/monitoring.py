"""How a pipeline does of late: figures over one window, None where nothing was seen."""

from datetime import timedelta

from domain.base import Instant, PipelineId, Value


class Spread(Value):
    """Of so many values the median and the 95th percentile."""

    median: float
    p95: float


class DominantError(Value):
    """An error signature that runs of the window ended in, and how often."""

    stage: str | None
    error_code: str
    count: int


class Snapshot(Value):
    """Of the runs that came to an end in the window; a run that waits for its healing has not.

    `duration` is seconds from start to end, `latency` seconds from the order to the start, `throughput` ended runs an hour,
    `retries` attempts at stages beyond the first of each run, `cpu` the share of one processor that attempts kept busy,
    `memory` the bytes that one held at most.
    """

    pipeline: PipelineId
    window: timedelta
    at: Instant
    runs: int
    failures: int
    failure_rate: float | None
    retries: int
    throughput: float
    duration: Spread | None
    latency: Spread | None
    cpu: Spread | None
    memory: Spread | None
    errors: tuple[DominantError, ...]
