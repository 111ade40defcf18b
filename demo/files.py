"""The pipelines of the story as their files say."""

from pathlib import Path

import yaml

from domain.pipeline import PipelineSpec

AD_COST = Path(__file__).parent / "ad_cost"


def prod() -> PipelineSpec:
    return read(AD_COST / "pipeline.yaml")


def dev() -> PipelineSpec:
    return read(AD_COST / "pipeline-dev.yaml")


def read(path: Path) -> PipelineSpec:
    return PipelineSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
