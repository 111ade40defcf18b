"""The other end of the stages' waiting points: puts the files they wait for, and sees which point is reached."""

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from domain.pipeline import PipelineSpec

_KEY = "hold"


class Point(StrEnum):
    """Where a stage can be stopped."""

    STAGE_BEFORE = "stage_before"
    BEFORE_TRANSACTION = "before_transaction"
    INSIDE_TRANSACTION = "inside_transaction"
    AFTER_COMMIT = "after_commit"


class Holds:
    """A folder that the stage's own account can write to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)

    def applied(self, spec: PipelineSpec, *, stages: Collection[str]) -> PipelineSpec:
        """`spec` with `stages` looking into this folder."""
        held = [
            one.model_copy(update={"uses": (*one.uses, _KEY)}) if one.name in stages and _KEY not in one.uses else one
            for one in spec.stages
        ]
        config = {**spec.config, _KEY: str(self._folder)}
        return PipelineSpec.model_validate({**spec.model_dump(), "stages": held, "config": config})

    def arm(self, point: Point) -> None:
        """Let the next stage that comes to `point` wait there."""
        (self._folder / f"{point}.reached").unlink(missing_ok=True)
        (self._folder / f"{point}.wait").touch()

    def release(self, point: Point) -> None:
        (self._folder / f"{point}.wait").unlink(missing_ok=True)

    def is_reached(self, point: Point) -> bool:
        return (self._folder / f"{point}.reached").exists()
