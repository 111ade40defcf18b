"""The digest by which a plan is trusted, the keys of its steps, and what is too long to be agreed to."""

import json
import os
import subprocess
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import InvalidError
from domain.plan import Command, Direction, FixPlan, check_readable
from tests.unit.domain.plan_builders import PLANS, WORDS

ALONE = """
import sys
from domain.plan import FixPlan
for line in sys.stdin:
    print(FixPlan.model_validate_json(line).digest)
"""


@given(PLANS, PLANS, st.data())
def test_any_changed_field_changes_the_digest(plan: FixPlan, other: FixPlan, data: st.DataObject):
    """Nothing in a plan can be exchanged unseen."""
    field = data.draw(st.sampled_from(sorted(FixPlan.model_fields)))
    changed = plan.model_copy(update={field: getattr(other, field)})
    assert (changed.digest == plan.digest) == (changed == plan)


@given(PLANS, WORDS, st.data())
def test_any_changed_part_of_a_step_changes_the_digest(plan: FixPlan, word: str, data: st.DataObject):
    """Neither can a part of a step: its target's version, its command, its undo."""
    content = plan.model_dump(mode="json")
    part = data.draw(st.sampled_from([("summary",), ("target", "version"), ("target", "id"), ("do", "tool")]))
    holder = content["steps"][-1]
    for name in part[:-1]:
        holder = holder[name]
    before, holder[part[-1]] = holder[part[-1]], word
    assert (FixPlan.model_validate(content).digest == plan.digest) == (before == word)


@given(PLANS, st.randoms(use_true_random=False))
def test_neither_the_order_of_keys_nor_a_trip_through_json_matters(plan: FixPlan, dice):
    """Whatever stores a plan may write its keys in any order."""
    stored = json.dumps(_shuffled(plan.model_dump(mode="json"), dice), indent=1)
    assert FixPlan.model_validate_json(stored).digest == plan.digest
    assert FixPlan.model_validate(plan.model_dump()).digest == plan.digest


def _shuffled(value: Any, dice: Random) -> Any:
    match value:
        case dict():
            keys = list(value)
            dice.shuffle(keys)
            return {key: _shuffled(value[key], dice) for key in keys}
        case list():
            return [_shuffled(item, dice) for item in value]
    return value


@settings(max_examples=1)
@given(st.lists(PLANS, min_size=20, max_size=20))
def test_another_process_finds_the_same_digest(plans: list[FixPlan]):
    """Not even with another seed of its hashes."""
    lines = "\n".join(plan.model_dump_json() for plan in plans)
    alone = subprocess.run(
        [sys.executable, "-c", ALONE],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"PYTHONHASHSEED": "4711", "PYTHONUTF8": "1"},
    )
    assert alone.stdout.split() == [plan.digest for plan in plans]


@given(st.lists(PLANS, min_size=1, max_size=3, unique_by=lambda plan: plan.id))
def test_each_step_in_each_direction_has_a_key_of_its_own(plans: list[FixPlan]):
    """Over all plans, so that an effect under one key is the effect of one step."""
    keys = [plan.key(step, direction) for plan in plans for step in plan.steps for direction in Direction]
    assert len(set(keys)) == len(keys)


@given(PLANS)
def test_targets_are_each_named_once_and_sorted(plan: FixPlan):
    """Leases are taken in one order by everybody."""
    keys = [target.key for target in plan.targets]
    assert keys == sorted(set(keys))
    assert set(keys) == {step.target.key for step in plan.steps}


@given(PLANS)
def test_a_plan_of_ordinary_size_is_asked_about(plan: FixPlan):
    """Odd letters are no reason to refuse one: they are shown escaped."""
    check_readable(plan)


@given(PLANS, st.sampled_from(["summary", "why", "policy_revision"]), st.integers(min_value=4097, max_value=10_000))
def test_a_plan_with_an_endless_line_is_refused(plan: FixPlan, field: str, length: int):
    """A tail that nobody scrolls to is not agreed to."""
    with pytest.raises(InvalidError, match="letters"):
        check_readable(plan.model_copy(update={field: "x" * length}))


@given(PLANS)
@settings(max_examples=10)
def test_a_plan_of_endless_size_is_refused(plan: FixPlan):
    """Many lines are as unreadable as one long one."""
    with pytest.raises(InvalidError, match="bytes"):
        check_readable(plan.model_copy(update={"steps": plan.steps[:1] * 1_000}))


@pytest.mark.parametrize("argument", ["", "a\0b", "a\nb", "\x1b[2K", "\u202ea", "\u200ba", "x" * 4097])
def test_an_argument_holds_nothing_that_hides(argument: str):
    """A command with one cannot be made."""
    with pytest.raises(ValidationError):
        Command(tool="pipeline", argv=("do", argument))
