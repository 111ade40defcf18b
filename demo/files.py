"""What the story is told about: its pipelines as their files say, and what those files leave out."""

from pathlib import Path

import yaml

from domain.base import Value
from domain.pipeline import PipelineSpec

_FOLDER = Path(__file__).parent / "ad_cost"


class Material(Value):
    """The code of the pipelines, and the tables of the database that one stage writes to.

    That stage is the only one with an effect. One of the tables is `effects`, with a row for every time that it had one.
    The stage, and the one before it, stop where `Point` says when their config names a folder as `hold`.
    """

    code: Path
    tables: Path


AD_COST = Material(code=_FOLDER / "src", tables=_FOLDER / "target.sql")


def prod() -> PipelineSpec:
    return read(_FOLDER / "pipeline.yaml")


def dev() -> PipelineSpec:
    return read(_FOLDER / "pipeline-dev.yaml")


def read(path: Path) -> PipelineSpec:
    return PipelineSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
