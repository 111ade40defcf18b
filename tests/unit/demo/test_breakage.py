"""The bad change of the story is drawn from the seed and from the pipeline at hand."""

from typing import Any

import pytest

from demo.breakage import draw

SEEDS = range(200)


def test_one_seed_tells_one_story(ad_cost: Any):
    """The same seed draws the same breakage."""
    assert draw(ad_cost.spec, seed=7) == draw(ad_cost.spec, seed=7)


def test_every_column_stage_and_moment_is_drawn(ad_cost: Any):
    """Two hundred seeds reach all column keys, all five stages and each moment."""
    drawn = [draw(ad_cost.spec, seed=seed) for seed in SEEDS]
    assert {breakage.key for breakage in drawn} == {key for key in ad_cost.spec.config if key.endswith("_column")}
    assert {breakage.expected_stage for breakage in drawn} == {stage.name for stage in ad_cost.spec.stages}
    assert {breakage.run for breakage in drawn} == {2, 3}


@pytest.mark.parametrize("seed", range(6))
def test_the_expected_stage_is_the_one_that_fails(cpu_load: Any, seed: int):
    """On another pipeline, the stages before it pass and it fails by the name that is gone."""
    breakage = draw(cpu_load.spec, seed=seed)
    cpu_load.spec = breakage.applied(cpu_load.spec)
    cpu_load.start_until(breakage.expected_stage)
    code, said = cpu_load.start(breakage.expected_stage)
    assert code == 1
    assert f"column '{breakage.after}' not found" in said


def test_only_one_key_changes(ad_cost: Any):
    """The next version differs in the renamed column alone."""
    breakage = draw(ad_cost.spec, seed=3)
    after = breakage.applied(ad_cost.spec)
    assert after.config == {**ad_cost.spec.config, breakage.key: breakage.after}
    assert after.stages == ad_cost.spec.stages


def test_a_pipeline_without_columns_cannot_be_broken(ad_cost: Any):
    """A pipeline that uses no column key is refused."""
    spec = ad_cost.spec.model_copy(update={"stages": (ad_cost.spec.stages[0].model_copy(update={"uses": ("source",)}),)})
    with pytest.raises(ValueError, match="no stage uses a config key"):
        draw(spec, seed=1)
