"""The moves of incidents, plans and runs: on a walk of any length, a refused step changes nothing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import execution, incident, plan
from domain.execution import RunStatus
from domain.incident import ENDED, RESTING, WORKING
from domain.incident import Status as IncidentStatus
from domain.plan import CLOSED, PlanStatus


def walk(start, wanted, may_follow):
    """The statuses that a row has, one after the other, while somebody asks for those `wanted`."""
    passed = [start]
    for after in wanted:
        if may_follow(passed[-1], after):
            passed.append(after)
    return passed


def walks(start, may_follow):
    return st.lists(st.sampled_from(type(start)), max_size=30).map(lambda wanted: walk(start, wanted, may_follow))


INCIDENTS = walks(IncidentStatus.OPEN, incident.may_follow)
PLANS = walks(PlanStatus.DRAFT, plan.may_follow)
RUNS = walks(RunStatus.PENDING, execution.may_follow)


def test_every_status_of_an_incident_is_of_one_kind():
    """It works, it rests until a person looks, or it has ended."""
    assert sorted([*ENDED, *RESTING, *WORKING]) == sorted(IncidentStatus)


@given(INCIDENTS)
def test_an_incident_that_has_ended_stays_ended(passed):
    """Only the end itself may be written again: whoever repeats a call learns nothing new."""
    ends = [each for each in passed if each in ENDED]
    assert passed[len(passed) - len(ends) :] == ends
    assert len(set(ends)) <= 1


@given(st.lists(st.sampled_from(IncidentStatus), max_size=20))
def test_an_incident_goes_wherever_it_is_told_until_it_has_ended(wanted):
    """The first end is its last status, or else the last that was wanted."""
    ends = [each for each in wanted if each in ENDED]
    last = walk(IncidentStatus.OPEN, wanted, incident.may_follow)[-1]
    assert last == (ends[0] if ends else (wanted or [IncidentStatus.OPEN])[-1])


@pytest.mark.parametrize(
    "path",
    [
        "draft awaiting_approval granted executing verified",
        "draft granted executing rolled_back",
        "draft awaiting_approval granted executing blocked rolled_back",
        "draft superseded",
        "awaiting_approval rejected",
    ],
)
def test_a_plan_has_the_moves_of_its_story(path):
    """With people and without, and withdrawn while it is executed."""
    passed = [PlanStatus(each) for each in path.split()]
    assert walk(passed[0], passed[1:], plan.may_follow) == passed


@pytest.mark.parametrize(
    "path",
    [
        "pending running succeeded",
        "pending running waiting running succeeded",
        "running failed waiting running waiting failed",
        "waiting cancelled waiting running",
        "pending cancelled",
    ],
)
def test_a_run_has_the_moves_of_its_story(path):
    """Healed, given up, and replayed."""
    passed = [RunStatus(each) for each in path.split()]
    assert walk(passed[0], passed[1:], execution.may_follow) == passed


@given(PLANS)
def test_a_closed_plan_is_never_opened_again(passed):
    """What somebody rejected, or the world overtook, is never executed."""
    is_closed = [each in CLOSED for each in passed]
    assert is_closed == sorted(is_closed)


@given(PLANS)
def test_nothing_but_a_granted_plan_is_executed(passed):
    """A plan cannot come to its execution on another way."""
    for before, after in pairwise(passed):
        assert after is not PlanStatus.EXECUTING or before in {PlanStatus.GRANTED, PlanStatus.EXECUTING}


@given(PLANS)
def test_nobody_is_asked_again_about_a_granted_plan(passed):
    """A plan only goes on."""
    if PlanStatus.GRANTED in passed:
        afterwards = {*passed[passed.index(PlanStatus.GRANTED) :]}
        assert not afterwards & {PlanStatus.DRAFT, PlanStatus.AWAITING_APPROVAL}


@given(RUNS)
def test_a_run_that_has_ended_goes_on_by_a_replay_alone(passed):
    """It waits to be resumed, as a run does that waits for a remediation."""
    for before, after in pairwise(passed):
        assert not before.is_final or after in {before, RunStatus.WAITING}


@given(RUNS)
def test_a_run_succeeds_once(passed):
    """It succeeds while it runs, and nothing repeats it."""
    if RunStatus.SUCCEEDED in passed:
        at = passed.index(RunStatus.SUCCEEDED)
        assert passed[at - 1] is RunStatus.RUNNING
        assert set(passed[at:]) == {RunStatus.SUCCEEDED}
