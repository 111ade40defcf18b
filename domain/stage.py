"""What a worker is told about one attempt of a stage, and what it finds out."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt, StringConstraints, model_validator

from domain.base import Digest, ExecutionId, Instant, Name, Value

OUTPUT_KEPT = 32 * 1024

Argument = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=8192)]
Argv = Annotated[tuple[Argument, ...], Field(min_length=1, max_length=256)]
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
Traceparent = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
StepKey = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=200)]


class Effect(StrEnum):
    """What a second start of the stage could do to the world outside."""

    NONE = "none"
    KEYED = "keyed"
    PROBE = "probe"
    ONCE = "once"


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    RETRY = "retry"


class ProbeAnswer(StrEnum):
    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"


class StageCommand(Value):
    """One attempt of one stage: everything but the values of its secrets, which never lie in a history."""

    execution: ExecutionId
    stage: Name
    argv: Argv
    probe: Argv | None = None
    effect: Effect
    timeout: Annotated[timedelta, Field(gt=timedelta(), le=timedelta(days=7))]
    step_key: StepKey
    step_version: Digest
    config: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: dict[Name, Digest] = Field(default_factory=dict)
    code: Digest
    secrets: tuple[SecretName, ...] = ()
    dry_run: bool = False
    memory: PositiveInt | None = None
    traceparent: Traceparent | None = None

    @model_validator(mode="after")
    def _can_be_started(self) -> Self:
        for argv in (self.argv, self.probe or self.argv):
            if not argv[0]:
                raise ValueError("expected a command name as first argument, got an empty string")
        if self.effect is Effect.PROBE and self.probe is None:
            raise ValueError("expected a probe command for the effect probe, got none")
        if len(set(self.secrets)) != len(self.secrets):
            raise ValueError("expected each secret once")
        return self


class StageResult(Value):
    """What one attempt did. Head and tail are all of the output unless `truncated`; the digest covers all of it."""

    outcome: Outcome
    exit_code: int | None
    signal: int | None
    timed_out: bool
    started_at: Instant
    ended_at: Instant
    wall: timedelta
    cpu: timedelta
    peak_memory: NonNegativeInt
    output_bytes: NonNegativeInt
    output_digest: Digest
    head: str
    tail: str
    truncated: bool
    rows: NonNegativeInt | None = None
    outputs: Digest | None = None

    @model_validator(mode="after")
    def _only_success_leaves_outputs(self) -> Self:
        if (self.outcome is Outcome.PASSED) != (self.outputs is not None):
            raise ValueError("expected stored outputs of a stage that passed, and of no other")
        return self


class Probed(Value):
    """A probe's answer and its attempt; `done` brings the stage's outputs again."""

    answer: ProbeAnswer
    attempt: StageResult


class SupervisorHandle(Value):
    """The process that answers for one stage. Known dead means that no process of the stage is left."""

    host: str
    pid: PositiveInt
    start_time: NonNegativeInt


class StageLimits(Value):
    """What one stage may use; memory is per process and the default for a stage that names none."""

    memory: PositiveInt = 1024**3
    processes: PositiveInt = 128
    open_files: PositiveInt = 256
    outputs_bytes: PositiveInt = 256 * 1024**2
    outputs_files: PositiveInt = 10_000
