"""Draws from a seed what the bad config change breaks: which column, at which stage, before which run."""

import hashlib

from domain.base import Name, Value
from domain.pipeline import PipelineSpec, used_config

_SUFFIX = "_column"
_ENDINGS = ("_v2", "_new", "_usd", "_raw", "_total")
_RUNS = (2, 3)


class Breakage(Value):
    """A renamed column: `key` says `after` where the data still says `before`, from run number `run` on."""

    seed: int
    key: str
    before: str
    after: str
    expected_stage: Name
    run: int

    def applied(self, spec: PipelineSpec) -> PipelineSpec:
        """`spec` with the renamed column: the next config version."""
        config = {**spec.config, self.key: self.after}
        return PipelineSpec.model_validate({**spec.model_dump(), "config": config})


def draw(spec: PipelineSpec, *, seed: int) -> Breakage:
    """The breakage of `seed`: any config key that names a column (`…_column`) and that a stage uses.

    Raises:
        ValueError: no stage of the pipeline uses such a key.
    """
    columns = {
        key: (stage.name, value)
        for stage in reversed(spec.order)
        for key, value in used_config(stage, spec.config).items()
        if key.endswith(_SUFFIX) and isinstance(value, str)
    }
    if not columns:
        raise ValueError(f"no stage uses a config key that ends with {_SUFFIX}")
    chance = hashlib.sha256(str(seed).encode()).digest()
    key = sorted(columns)[chance[0] % len(columns)]
    stage, before = columns[key]
    after = before + _ENDINGS[chance[1] % len(_ENDINGS)]
    return Breakage(seed=seed, key=key, before=before, after=after, expected_stage=stage, run=_RUNS[chance[2] % len(_RUNS)])
