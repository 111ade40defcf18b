"""Our count of found events and false alarms is the reviewers' own."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scoring.events import Tally, runs, tally

SHARED = Path(__file__).parents[4] / "shared" / "acceptance" / "scoring" / "score_events.py"
ROWS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)


@pytest.fixture(scope="module")
def theirs():
    if not SHARED.is_file():
        pytest.skip(f"NOT COMPARED: the reviewers' scoring is not at {SHARED}")
    spec = importlib.util.spec_from_file_location("score_events", SHARED)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(rows=ROWS, threshold=st.floats(0, 1), gap=st.integers(1, 6), delay=st.integers(0, 6), start=st.integers(0, 20))
def test_the_counts_are_theirs(theirs, rows, threshold, gap, delay, start):
    """For any scores and labels, gap, delay and start; so are precision, recall and F1."""
    scores, labels = [score for score, _ in rows], [label for _, label in rows]
    ours = tally(scores, labels, threshold=threshold, gap=gap, delay=delay, start=start)
    counted = theirs.counts(scores, labels, threshold, gap, delay, start)
    assert (ours.found, ours.events, ours.false, ours.alarms) == counted
    assert (ours.precision, ours.recall, ours.f1) == theirs.prf(*counted)


def test_close_runs_are_one_and_far_ones_are_not():
    """The gap is the greatest distance between rows of one run."""
    assert runs([1, 1, 0, 1, 0, 0, 1], gap=2) == [(0, 3), (6, 6)]


def test_pooled_tallies_add_up():
    """Every event weighs the same, not every machine."""
    pooled = Tally.pooled([Tally(found=1, events=1, false=0, alarms=1), Tally(found=0, events=3, false=1, alarms=1)])
    assert pooled == Tally(found=1, events=4, false=1, alarms=2)
    assert pooled.f1 == pytest.approx(1 / 3)
