"""The isolation forest as arrays: scikit-learn's numbers, one row at a time."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from models.detectors.forest import SAMPLE, TREES, Forest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(rows=st.integers(1, 600), width=st.integers(1, 6), seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_it_scores_as_the_library_does(rows, width, seed):
    """To 1e-9, on rows it has seen and on others, with metrics that never move and with few rows."""
    dice = np.random.default_rng(seed)
    learnt, asked = np.round(dice.normal(size=(rows, width)), 1), dice.normal(0, 3, (40, width))
    learnt[:, 0] = 1.0
    grown = IsolationForest(n_estimators=TREES, max_samples=min(SAMPLE, rows), random_state=0).fit(learnt)
    forest = Forest.fit(learnt.tolist(), [str(metric) for metric in range(width)])
    both = np.concatenate([learnt[:40], asked])
    scores = [forest.observe(NOW, row).score for row in both]
    assert scores == pytest.approx(-grown.score_samples(both), abs=1e-9)


def test_the_odd_metric_is_blamed_first():
    """That whose cuts set the row apart."""
    forest = Forest.fit(np.random.default_rng(0).normal(size=(500, 5)).tolist(), "abcde")
    assert forest.observe(NOW, [0.0, 0.0, 9.0, 0.0, 0.0]).metrics[0] == "c"


def test_a_missing_value_is_odder_than_a_usual_one():
    """A hole is a value of its own, far from all others."""
    learnt = np.random.default_rng(0).normal(size=(500, 2)).tolist()
    learnt[7][1] = None
    forest = Forest.fit(learnt, "ab")
    assert forest.observe(NOW, [0.0, None]).score > forest.observe(NOW, [0.0, 0.0]).score + 0.1
