"""What a pipeline is: its stages, the config each of them sees, and what a change of that config means."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from domain.base import Digest, Name, Value
from domain.canonical import canonical, digest
from domain.stage import Effect
from domain.units import Duration, Size

_CONFIG_BYTES = 64 * 1024
_CONFIG_DEPTH = 20
_LARGEST_INTEGER = 2**53 - 1
_STAGES = 100

Mistake = tuple[tuple[str | int, ...], str]
Spec = TypeVar("Spec")


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold NUL")
    return value


Word = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_without_nul)]
Argv = Annotated[tuple[Word, ...], Field(min_length=1, max_length=64)]
ConfigKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")]
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Config = dict[ConfigKey, JsonValue]


class Retry(Value):
    """How often a stage is started, and the pause between; one attempt is no retry."""

    attempts: Annotated[StrictInt, Field(ge=1, le=10)] = 1
    backoff: Annotated[Duration, Field(le=timedelta(hours=1))] = timedelta(seconds=1)


class Resources(Value):
    memory: Annotated[Size, Field(ge=16 << 20, le=1 << 40)] | None = None


class StageSpec(Value):
    """One command of a pipeline, with all it may see and all it may spend."""

    name: Name
    run: Argv
    needs: Annotated[tuple[Name, ...], Field(max_length=_STAGES)] = ()
    uses: Annotated[tuple[ConfigKey, ...], Field(max_length=1000)] = ()
    secrets: Annotated[tuple[SecretName, ...], Field(max_length=100)] = ()
    timeout: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(hours=24))] = timedelta(minutes=5)
    retry: Retry = Retry()
    effect: Effect = Effect.NONE
    probe: Argv | None = None
    dry_run: StrictBool = False
    secrets_dry_run: Annotated[tuple[SecretName, ...], Field(max_length=100)] = ()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        return _refuse(self, list(_stage_mistakes(self)))


class PipelineSpec(Value):
    """What a pipeline file says, known to hold together: every name it uses exists and its stages have an order."""

    pipeline: Name
    environment: Name
    owner: Name
    code: Word
    heal_within: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=30))] = timedelta(hours=24)
    config: Config = Field(default_factory=dict)
    stages: Annotated[tuple[StageSpec, ...], Field(min_length=1, max_length=_STAGES)]

    @property
    def order(self) -> tuple[StageSpec, ...]:
        """The stages, each after all it needs, otherwise as they stand in the file."""
        return _ordered(self.stages)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [*_config_mistakes(self.config), *_name_mistakes(self)]
        return _refuse(
            self, names or [(("stages", at, "needs"), "its needs lead back to itself") for at in _circle(self.stages)]
        )


class ConfigChange(Value):
    """One config key that two versions do not agree on; None where a version lacks it."""

    key: str
    before: Digest | None
    after: Digest | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def used_config(stage: StageSpec, config: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The part of `config` that `stage` sees."""
    return {key: config[key] for key in sorted(stage.uses) if key in config}


def step_version(stage: StageSpec, config: Mapping[str, JsonValue]) -> Digest:
    """The version of what `stage` does under `config`: the digest of the keys it uses."""
    return digest(used_config(stage, config))


def first_changed(spec: PipelineSpec, *, before: Mapping[str, JsonValue], after: Mapping[str, JsonValue], failed: str) -> str:
    """The stage to resume at: the first one whose used config differs, and never one after `failed`."""
    for stage in spec.order:
        if stage.name == failed or step_version(stage, before) != step_version(stage, after):
            return stage.name
    raise ValueError("the failed stage is not one of this pipeline")


def config_diff(old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]) -> tuple[ConfigChange, ...]:
    """The keys `old` and `new` do not agree on, in alphabetical order."""
    changes = (
        ConfigChange(key=key, before=digest(old[key]) if key in old else None, after=digest(new[key]) if key in new else None)
        for key in sorted(old.keys() | new.keys())
    )
    return tuple(change for change in changes if change.before != change.after)


def _refuse(spec: Spec, mistakes: Sequence[Mistake]) -> Spec:
    """`spec`, unless there are mistakes; they keep the place where they stand, so that a file's line can be named."""
    if not mistakes:
        return spec
    details = [
        InitErrorDetails(type=PydanticCustomError("pipeline", "{reason}", {"reason": reason}), loc=place, input=None)
        for place, reason in mistakes
    ]
    raise ValidationError.from_exception_data(type(spec).__name__, details, hide_input=True)


def _stage_mistakes(stage: StageSpec) -> Iterator[Mistake]:
    if stage.effect is Effect.PROBE and stage.probe is None:
        yield ("probe",), "a stage whose effect is probe needs a probe command"
    if stage.effect is not Effect.PROBE and stage.probe is not None:
        yield ("probe",), "only a stage whose effect is probe has a probe command"
    if stage.effect is Effect.ONCE and stage.retry.attempts > 1:
        yield ("retry", "attempts"), "a stage whose effect is once is started once"
    if stage.secrets_dry_run and not stage.dry_run:
        yield ("secrets_dry_run",), "only a stage with dry_run: true has secrets for a dry-run"
    for field in ("needs", "uses", "secrets", "secrets_dry_run"):
        names = getattr(stage, field)
        yield from (((field, at), "named twice") for at, name in enumerate(names) if name in names[:at])


def _name_mistakes(spec: PipelineSpec) -> Iterator[Mistake]:
    names = [stage.name for stage in spec.stages]
    for at, stage in enumerate(spec.stages):
        if stage.name in names[:at]:
            yield ("stages", at, "name"), "an earlier stage has this name"
        for position, need in enumerate(stage.needs):
            if need == stage.name:
                yield ("stages", at, "needs", position), "a stage cannot need itself"
            elif need not in names:
                yield ("stages", at, "needs", position), "no stage has this name"
        for position, key in enumerate(stage.uses):
            if key not in spec.config:
                yield ("stages", at, "uses", position), "config has no such key"


def _config_mistakes(config: Config) -> Iterator[Mistake]:
    flawed = False
    for key, value in config.items():
        if flaw := _flaw(value, depth=1):
            flawed = True
            yield ("config", key), flaw
    if not flawed and (size := len(canonical(config))) > _CONFIG_BYTES:
        yield ("config",), f"is {size} bytes of JSON, at most {_CONFIG_BYTES} are allowed"


def _flaw(value: JsonValue, *, depth: int) -> str | None:
    """Why `value` cannot be stored and compared byte for byte, or None."""
    if depth > _CONFIG_DEPTH:
        return f"is nested deeper than {_CONFIG_DEPTH}"
    match value:
        case str():
            return _text_flaw(value)
        case float() if not math.isfinite(value):
            return "holds a number that is not finite"
        case int() | float() if abs(value) > _LARGEST_INTEGER:  # the database writes 1e21 as an integer
            return f"holds a number beyond {_LARGEST_INTEGER}"
        case list():
            flaws = (_flaw(item, depth=depth + 1) for item in value)
        case dict():
            flaws = (_text_flaw(key) or _flaw(item, depth=depth + 1) for key, item in value.items())
        case _:
            return None
    return next((flaw for flaw in flaws if flaw), None)


def _text_flaw(text: str) -> str | None:
    if "\0" in text:
        return "holds NUL"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "holds a lone surrogate"
    return None


def _ordered(stages: Sequence[StageSpec]) -> tuple[StageSpec, ...]:
    """The stages that can be reached, each after all it needs; the one first in the file goes first."""
    placed: dict[str, StageSpec] = {}
    while ready := next((s for s in stages if s.name not in placed and placed.keys() >= set(s.needs)), None):
        placed[ready.name] = ready
    return tuple(placed.values())


def _circle(stages: Sequence[StageSpec]) -> tuple[int, ...]:
    """The places of the stages that need each other in a circle."""
    placed = {stage.name for stage in _ordered(stages)}
    left = {stage.name: (at, stage) for at, stage in enumerate(stages) if stage.name not in placed}
    path: list[str] = []
    name = next(iter(left), None)
    while name is not None and name not in path:
        path.append(name)
        name = next(need for need in left[name][1].needs if need in left)
    return tuple(sorted(left[member][0] for member in path[path.index(name) :])) if name else ()
