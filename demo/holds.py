"""The other end of `load`'s waiting points: puts the files it waits for, and sees which point it has reached."""

from enum import StrEnum
from pathlib import Path

from domain.pipeline import PipelineSpec

_KEY = "hold"


class Point(StrEnum):
    """Where `load` can be stopped."""

    BEFORE_TRANSACTION = "before_transaction"
    INSIDE_TRANSACTION = "inside_transaction"
    AFTER_COMMIT = "after_commit"


class Holds:
    """A folder that the stage's own account can write to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)

    def applied(self, spec: PipelineSpec, *, stage: str) -> PipelineSpec:
        """`spec` with `stage` looking into this folder."""
        stages = [
            one.model_copy(update={"uses": (*one.uses, _KEY)}) if one.name == stage and _KEY not in one.uses else one
            for one in spec.stages
        ]
        config = {**spec.config, _KEY: str(self._folder)}
        return PipelineSpec.model_validate({**spec.model_dump(), "stages": stages, "config": config})

    def arm(self, point: Point) -> None:
        """Let the next stage that comes to `point` wait there."""
        (self._folder / f"{point}.reached").unlink(missing_ok=True)
        (self._folder / f"{point}.wait").touch()

    def release(self, point: Point) -> None:
        (self._folder / f"{point}.wait").unlink(missing_ok=True)

    def is_reached(self, point: Point) -> bool:
        return (self._folder / f"{point}.reached").exists()
