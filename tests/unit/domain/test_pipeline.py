"""What a pipeline file may say, and what a change of its config means."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.canonical import digest
from domain.pipeline import ConfigChange, PipelineSpec, StageSpec, config_diff, first_changed, step_version, used_config


def a_stage(name: str = "load", **fields: Any) -> dict[str, Any]:
    return {"name": name, "run": ["python", "-m", f"stages.{name}"], **fields}


def a_pipeline(*stages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    base = {"pipeline": "ad-cost", "environment": "prod", "owner": "data-platform", "code": "./src"}
    return {**base, "config": {"source": "data/", "column": "value"}, "stages": list(stages) or [a_stage()], **fields}


def mistakes(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        PipelineSpec.model_validate(document)
    errors = refused.value.errors(include_url=False)
    return [(".".join(str(step) for step in error["loc"]), error["msg"].removeprefix("Value error, ")) for error in errors]


def a_chain() -> PipelineSpec:
    first, second = a_stage("first", uses=["source"]), a_stage("second", needs=["first"], uses=["column"])
    return PipelineSpec.model_validate(a_pipeline(first, second, a_stage("third", needs=["second"], uses=["source"])))


def test_what_is_not_said_has_a_careful_default():
    """A stage that says nothing is started once, not in a dry-run, and is given five minutes."""
    spec = PipelineSpec.model_validate(a_pipeline())
    stage = spec.stages[0]
    assert (stage.retry.attempts, stage.dry_run, stage.timeout) == (1, False, timedelta(minutes=5))
    assert spec.heal_within == timedelta(hours=24)


def test_a_spec_survives_json():
    """What is stored as JSON is read back as the same pipeline."""
    retry = {"attempts": 2, "backoff": "500ms"}
    stage = a_stage(effect="probe", probe=["true"], retry=retry, timeout="60s", resources={"memory": "512MiB"})
    spec = PipelineSpec.model_validate(a_pipeline(stage))
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec
    assert PipelineSpec.model_validate(spec.model_dump()) == spec
    assert spec.stages[0].resources.memory == 512 * 1024**2


@given(st.integers(min_value=1, max_value=24 * 3600 * 1000))
def test_a_duration_reads_back_as_it_was_written(milliseconds: int):
    """Writing a duration down and reading it again changes nothing."""
    stage = StageSpec.model_validate(a_stage(timeout=f"{milliseconds}ms"))
    assert StageSpec.model_validate_json(stage.model_dump_json()).timeout == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"pipeline": "Ad_cost"}, "pipeline", "should match pattern"),
        ({"pipeline": "a" * 64}, "pipeline", "should match pattern"),
        ({"pipeline": "ad-cost\n"}, "pipeline", "should match pattern"),
        ({"owner": 7}, "owner", "valid string"),
        ({"colour": "red"}, "colour", "not permitted"),
        ({"heal_within": "31d"}, "heal_within", "less than or equal to"),
        ({"heal_within": "0s"}, "heal_within", "greater than"),
        ({"heal_within": "soon"}, "heal_within", "expected a duration like"),
        ({"heal_within": 60}, "heal_within", "expected a duration like"),
        ({"code": "src\0"}, "code", "must not hold NUL"),
        ({"config": {"a b": 1}}, "config.a b.[key]", "should match pattern"),
        ({"config": {"when": float("inf")}}, "config.when", "not finite"),
        ({"config": {"when": [float("nan")]}}, "config.when", "not finite"),
        ({"config": {"big": 2**53}}, "config.big", "beyond 9007199254740991"),
        ({"config": {"text": "a\0"}}, "config.text", "holds NUL"),
        ({"config": {"text": {"\ud800": 1}}}, "config.text", "surrogate"),
        ({"config": {"text": "x" * 66_000}}, "config", "at most 65536"),
        ({"stages": []}, "stages", "at least 1 item"),
    ],
)
def test_a_pipeline_that_makes_no_sense_is_refused(fields: dict[str, Any], field: str, reason: str):
    """Each refusal names its field and the reason."""
    found = mistakes(a_pipeline(**fields))
    assert any(place == field and reason in said for place, said in found), found


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"run": []}, "run", "at least 1 item"),
        ({"run": "python -m stages.load"}, "run", "valid tuple"),
        ({"run": ["python", ""]}, "run.1", "at least 1 character"),
        ({"run": ["python", "a\0b"]}, "run.1", "must not hold NUL"),
        ({"run": ["x"] * 65}, "run", "at most 64"),
        ({"run": ["x" * 4097]}, "run.0", "at most 4096"),
        ({"timeout": "25h"}, "timeout", "less than or equal to"),
        ({"timeout": "0s"}, "timeout", "greater than"),
        ({"retry": {"attempts": 0}}, "retry.attempts", "greater than or equal to 1"),
        ({"retry": {"attempts": 11}}, "retry.attempts", "less than or equal to 10"),
        ({"retry": {"attempts": True}}, "retry.attempts", "valid integer"),
        ({"retry": {"attempts": "2"}}, "retry.attempts", "valid integer"),
        ({"dry_run": "yes"}, "dry_run", "valid boolean"),
        ({"effect": "twice"}, "effect", "'none', 'keyed', 'probe' or 'once'"),
        ({"effect": "probe"}, "probe", "needs a probe command"),
        ({"effect": "keyed", "probe": ["true"]}, "probe", "only a stage whose effect is probe"),
        ({"secrets_dry_run": ["dsn"]}, "secrets_dry_run", "dry_run: true"),
        ({"secrets": ["../dsn"]}, "secrets.0", "should match pattern"),
        ({"uses": ["source", "source"]}, "uses.1", "named twice"),
        ({"uses": ["sauce"]}, "uses.0", "config has no such key"),
        ({"needs": ["load"]}, "needs.0", "cannot need itself"),
        ({"needs": ["extract"]}, "needs.0", "no stage has this name"),
        ({"resources": {"memory": "512"}}, "resources.memory", "expected a size like"),
        ({"resources": {"memory": "1KiB"}}, "resources.memory", "greater than or equal to"),
        ({"shell": "rm"}, "shell", "not permitted"),
    ],
)
def test_a_stage_that_makes_no_sense_is_refused(fields: dict[str, Any], field: str, reason: str):
    """Each refusal names its stage, its field and the reason."""
    found = mistakes(a_pipeline({**a_stage(), **fields}))
    assert any(place == f"stages.0.{field}" and reason in said for place, said in found), found


def test_a_name_belongs_to_one_stage():
    """The second stage of one name is the mistake."""
    assert mistakes(a_pipeline(a_stage(), a_stage())) == [("stages.1.name", "an earlier stage has this name")]


def test_a_circle_is_refused_and_its_stages_are_named():
    """Of four stages only the two that need each other are at fault, not the one that waits for them."""
    stages = a_stage("a"), a_stage("b", needs=["c"]), a_stage("c", needs=["b"]), a_stage("d", needs=["c"])
    assert [place for place, _ in mistakes(a_pipeline(*stages))] == ["stages.1.needs", "stages.2.needs"]


def test_a_hundred_stages_are_the_most():
    """A hundred and one stages are refused."""
    PipelineSpec.model_validate(a_pipeline(*[a_stage(f"s{at}") for at in range(100)]))
    assert mistakes(a_pipeline(*[a_stage(f"s{at}") for at in range(101)]))[0][0] == "stages"


def test_a_refusal_does_not_repeat_what_was_sent():
    """A secret in the wrong field is not printed."""
    with pytest.raises(ValidationError) as refused:
        PipelineSpec.model_validate(a_pipeline(a_stage(uses=["hunter2"], timeout="hunter2")))
    assert "hunter2" not in str(refused.value)


def test_a_stage_comes_after_all_it_needs():
    """The order follows the needs; otherwise the file's order stands."""
    stages = a_stage("d", needs=["b", "c"]), a_stage("c"), a_stage("b", needs=["a"]), a_stage("a")
    spec = PipelineSpec.model_validate(a_pipeline(*stages))
    assert [stage.name for stage in spec.order] == ["c", "a", "b", "d"]


@given(st.permutations([f"s{at}" for at in range(8)]), st.data())
def test_every_pipeline_without_a_circle_has_a_total_order(names: list[str], data: st.DataObject):
    """However the stages are shuffled, each is placed once and after what it needs."""
    needs = {name: data.draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else [] for at, name in enumerate(names)}
    shuffled = data.draw(st.permutations(names))
    order = PipelineSpec.model_validate(a_pipeline(*[a_stage(name, needs=needs[name]) for name in shuffled])).order
    placed = [stage.name for stage in order]
    assert sorted(placed) == sorted(names)
    assert all(placed.index(need) < placed.index(name) for name in names for need in needs[name])


def test_a_stage_sees_only_what_it_uses():
    """Its version follows the used keys and no other."""
    stage = StageSpec.model_validate(a_stage(uses=["column"]))
    assert used_config(stage, {"column": "value", "other": 1}) == {"column": "value"}
    assert step_version(stage, {"column": "value", "other": 1}) == step_version(stage, {"other": 2, "column": "value"})
    assert step_version(stage, {"column": "value"}) != step_version(stage, {"column": "cost"})


@pytest.mark.parametrize(
    ("after", "failed", "expected"),
    [
        ({"source": "data/", "column": "cost"}, "third", "second"),
        ({"source": "other/", "column": "value"}, "third", "first"),
        ({"source": "data/", "column": "cost"}, "first", "first"),
        ({"source": "data/", "column": "value"}, "second", "second"),
        ({"column": "value"}, "third", "first"),
    ],
)
def test_a_run_resumes_at_the_first_stage_that_sees_a_change(after: dict[str, Any], failed: str, expected: str):
    """It is the first stage whose used config differs, and never one after the failed stage."""
    spec = a_chain()
    assert first_changed(spec, before=spec.config, after=after, failed=failed) == expected


def test_a_run_cannot_resume_at_a_stage_that_does_not_exist():
    """An unknown failed stage is an error, not the end of the pipeline."""
    spec = a_chain()
    with pytest.raises(ValueError, match="not one of this pipeline"):
        first_changed(spec, before=spec.config, after=spec.config, failed="fourth")


def test_a_diff_names_each_key_that_differs():
    """Added, removed and changed keys are told apart, and values appear as digests only."""
    changes = config_diff({"kept": 1, "gone": None, "renamed": "cpc"}, {"kept": 1.0, "new": None, "renamed": "cost"})
    assert [(change.key, change.kind) for change in changes] == [("gone", "removed"), ("new", "added"), ("renamed", "changed")]
    assert changes[2] == ConfigChange(key="renamed", before=digest("cpc"), after=digest("cost"))
