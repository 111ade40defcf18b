"""Every recorded story still replays: no change of a workflow breaks what is under way."""

import asyncio
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

import activities
from adapters.codec import data_converter
from tests.replay.fixed import HISTORIES, ORG, FixedKeyring
from tests.replay.mutants import MUTANTS
from workflows.registry import WORKFLOWS, plugin

FILES = sorted(HISTORIES.glob("*.json"))
OURS = ("orders", "valeu", "column", "suture-", "approval_id", "rollback_config", "restore-config", "resume-run", "stack_trace")
IN_IDS = {"orders"}
"""A pipeline's name is part of its incidents' workflow ids and search attributes, which are never encrypted."""


def _history(path) -> WorkflowHistory:
    kept = json.loads(path.read_text())
    return WorkflowHistory.from_json(kept["workflow_id"], kept["history"])


def _type(history: WorkflowHistory) -> str:
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


def _replayer(*workflows) -> Replayer:
    return Replayer(workflows=list(workflows), plugins=[plugin(data_converter(FixedKeyring()))])


async def test_every_recorded_history_replays():
    """All of them, through the plugin that workers use, without a server."""
    everything = [each for of_queue in WORKFLOWS.values() for each in of_queue]

    async def histories():
        for path in FILES:
            yield _history(path)

    results = await _replayer(*everything).replay_workflows(histories(), raise_on_replay_failure=False)
    assert {run: str(error) for run, error in results.replay_failures.items()} == {}


def test_every_workflow_is_recorded():
    """There is at least one history of each type."""
    recorded = {_type(_history(path)) for path in FILES}
    assert recorded == {each.__name__ for of_queue in WORKFLOWS.values() for each in of_queue}


def test_every_activity_is_recorded():
    """No call that a workflow can make is missing, so a change of any of them is seen."""
    recorded = {name for path in FILES for name in _scheduled(_history(path))}
    assert recorded == set(_registered())


def test_a_story_that_begins_anew_is_recorded():
    """What is carried over to the next story is part of what replays."""
    ends = {_history(path).events[-1].event_type for path in FILES}
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW in ends


def _registered() -> Iterator[str]:
    """Every activity there is, by the name that histories know it by."""
    for found in pkgutil.iter_modules(activities.__path__, "activities."):
        for _, kind in inspect.getmembers(importlib.import_module(found.name), inspect.isclass):
            for _, method in inspect.getmembers(kind, inspect.isfunction):
                definition = activity._Definition.from_callable(method)
                if definition is not None and definition.name is not None:
                    yield definition.name


def test_nothing_of_ours_is_in_clear():
    """The files hold ids, enums and times; what the story was about is encrypted."""
    found = {word for path in FILES for word in OURS if word in path.read_text()}
    assert found <= IN_IDS
    assert all(str(ORG) in path.read_text() for path in FILES)


def test_every_workflow_has_a_mutant():
    """No type is left out of the next test."""
    assert {_name(each) for each in MUTANTS} == {_name(each) for of_queue in WORKFLOWS.values() for each in of_queue}


@pytest.mark.parametrize(("mutated", "called"), MUTANTS.items(), ids=lambda each: getattr(each, "__name__", each))
async def test_a_changed_workflow_does_not_replay(mutated, called):
    """The gate has teeth: a step more or less is found in a recorded history."""
    told = next(h for h in map(_history, FILES) if _type(h) == _name(mutated) and called in _scheduled(h))
    with pytest.raises(NondeterminismError):
        await asyncio.wait_for(_replayer(mutated).replay_workflow(told), timeout=20)


def _name(kind: type) -> str:
    return str(workflow._Definition.must_from_class(kind).name)


def _scheduled(history: WorkflowHistory) -> set[str]:
    return {event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events} - {""}
