"""What every detector of rows keeps: the past alone, a bounded memory, scores that are scores, and holes that are no zeros."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import detectors
from models.detectors.contract import Detector, Finding

METRICS = ("load", "memory", "errors", "still")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = st.none() | st.floats(-5, 5) | st.floats() | st.sampled_from([0.0, 7.0, 1e300, -1e300, 5e-324])
ROWS = st.lists(st.tuples(*[NUMBERS] * len(METRICS)), max_size=30)
KINDS = pytest.mark.parametrize("kind", detectors.ROWS.values(), ids=detectors.ROWS)


@cache
def learnt(kind):
    dice = np.random.default_rng(1)
    rows = dice.normal(size=(60, len(METRICS)))
    rows[:, 2] = np.where(dice.random(60) < 0.05, 1.0, 0.0)
    rows[:, 3] = 7.0
    holes = [[None if dice.random() < 0.02 else value for value in row] for row in rows.tolist()]
    return json.dumps(kind.fit(holes, METRICS).state())


def restored(kind):
    return kind.restored(json.loads(learnt(kind)))


def told(detector: Detector, rows: Sequence[Sequence[float | None]]) -> list[Finding]:
    return [detector.observe(BEGAN + timedelta(minutes=number), row) for number, row in enumerate(rows)]


@KINDS
@settings(max_examples=40)
@given(rows=ROWS, more=ROWS)
def test_what_comes_later_changes_nothing(kind, rows, more):
    """A row's score, reasons and blame are the same whatever follows it."""
    assert told(restored(kind), [*rows, *more])[: len(rows)] == told(restored(kind), rows)


@KINDS
@settings(max_examples=40)
@given(rows=ROWS, more=ROWS)
def test_a_restored_detector_goes_on_alike(kind, rows, more):
    """Through JSON and back, wherever it was left off."""
    kept = restored(kind)
    told(kept, rows)
    again = kind.restored(json.loads(json.dumps(kept.state())))
    assert told(again, more) == told(kept, more)


@KINDS
@settings(max_examples=40)
@given(rows=ROWS)
def test_memory_is_bounded(kind, rows):
    """It holds as many numbers after any rows as before them."""
    detector = restored(kind)
    before = _size(detector.state())
    told(detector, rows)
    assert _size(detector.state()) == before


@KINDS
@settings(max_examples=40)
@given(rows=ROWS)
def test_every_row_has_a_score_and_no_more_than_three_to_blame(kind, rows):
    """Holes, infinities and numbers of any size are scored like other rows."""
    for finding in told(restored(kind), rows):
        assert 0 <= finding.score <= 1
        assert len(set(finding.metrics)) == len(finding.metrics) <= 3
        assert set(finding.metrics) <= set(METRICS)


@KINDS
@settings(max_examples=40)
@given(rows=ROWS)
def test_no_number_is_as_good_as_nothing(kind, rows):
    """Infinity and not-a-number are holes."""
    holes = [tuple(value if value is not None and np.isfinite(value) else None for value in row) for row in rows]
    assert told(restored(kind), holes) == told(restored(kind), rows)


@KINDS
@settings(max_examples=40, deadline=None)
@given(
    known=st.lists(st.tuples(*[NUMBERS] * 2), min_size=30, max_size=40), rows=st.lists(st.tuples(*[NUMBERS] * 2), max_size=5)
)
def test_anything_can_be_learnt_from(kind, known, rows):
    """Metrics that are never there, never move or hold any number: what follows is scored all the same."""
    detector = kind.fit(known, METRICS[:2])
    assert all(0 <= finding.score <= 1 for finding in told(detector, rows))


@KINDS
def test_a_row_of_another_width_is_refused(kind):
    """A detector of four metrics does not guess what three values mean."""
    with pytest.raises(ValueError, match="expected 4 values"):
        restored(kind).observe(BEGAN, [1.0, 2.0, 3.0])


@KINDS
def test_every_metric_has_a_name(kind):
    """Three names for two metrics are a mistake of the caller."""
    with pytest.raises(ValueError, match="expected 3 metrics"):
        kind.fit([[1.0, 2.0]] * 40, METRICS[:3])


@KINDS
def test_nothing_is_learnt_from_nothing(kind):
    """Without rows there is no detector."""
    with pytest.raises(ValueError, match="expected at least"):
        kind.fit([], METRICS)


def _size(value: object) -> int:
    match value:
        case dict():
            return sum(_size(each) for each in value.values())
        case list():
            return sum(_size(each) for each in value)
    return 1
