"""Metrics that leave their course: one alarm for an event, late by a row, with the ones to blame."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.detectors.contract import Finding
from models.detectors.jumps import ALARM, LATE, Jumps

METRICS = ("load", "load again", "latency", "queue", "still")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def quiet(rows: int, seed: int = 3) -> np.ndarray:
    """Waves and noise; the first two metrics are one thing measured twice, the last never moves."""
    dice = np.random.default_rng(seed)
    waves = np.sin(np.arange(rows)[:, None] / 40 + np.arange(len(METRICS))) + dice.normal(0, 0.05, (rows, len(METRICS)))
    waves[:, 1] = waves[:, 0] * 3 + 1
    waves[:, 4] = 2.0
    return waves


def past() -> np.ndarray:
    """A quiet time with four small jolts, so that noise alone is never the oddest."""
    rows = quiet(3000)
    rows[[500, 1200, 1900, 2600], 2] += 1
    return rows


def told(detector: Jumps, rows) -> list[Finding]:
    return [detector.observe(BEGAN + timedelta(minutes=number), row) for number, row in enumerate(rows)]


def alarms(findings: list[Finding]) -> list[int]:
    return [row for row, finding in enumerate(findings) if finding.score >= ALARM]


@pytest.fixture
def detector() -> Jumps:
    return Jumps.fit(past(), METRICS)


@pytest.fixture
def rows() -> np.ndarray:
    return quiet(3200)[3000:]


def test_one_row_in_a_thousand_of_those_learnt_from_is_an_alarm():
    """A score of 0.5 is their 99.9 % quantile, whatever the machine."""
    findings = told(Jumps.fit(past(), METRICS), past())
    assert 1 <= len(alarms(findings)) <= 4


def test_a_quiet_hour_is_quiet(detector, rows):
    """Nothing happened, nothing is said."""
    assert alarms(told(detector, rows)) == []


def test_a_lasting_shift_is_one_alarm(detector, rows):
    """A level that moves and stays is an event when it moves, late by a row, and no more."""
    rows[50:, 2] += 4
    assert alarms(told(detector, rows)) == [50 + LATE]


def test_the_metric_that_moved_is_blamed_first_and_named(detector, rows):
    """With how far it moved, in words."""
    rows[50:55, 2] += 4
    finding = told(detector, rows)[50 + LATE]
    assert finding.metrics[0] == "latency"
    assert finding.reasons[0].startswith("latency moved ")


def test_two_measures_of_one_thing_are_not_both_blamed(detector, rows):
    """The second place goes to what moves on its own."""
    rows[50:55, 0] += 4
    rows[50:55, 1] += 12
    rows[50:55, 3] += 1
    finding = told(detector, rows)[50 + LATE]
    assert finding.metrics[0] in {"load", "load again"}
    assert finding.metrics[1] == "queue"


def test_a_metric_that_never_moved_is_odd_when_it_does(detector, rows):
    """However small the step, and only once."""
    rows[50:, 4] += 0.001
    findings = told(detector, rows)
    assert alarms(findings) == [50 + LATE]
    assert findings[50 + LATE].metrics[0] == "still"


def test_a_metric_that_goes_missing_is_an_event_of_its_own(detector, rows):
    """It is no zero and no silence; that it came back is another event."""
    holes = rows.tolist()
    for row in range(50, 80):
        holes[row][3] = None
    findings = told(detector, holes)
    assert alarms(findings) == [50 + LATE, 80 + LATE]
    assert findings[50 + LATE].reasons[0] == "queue went missing or came back"


def test_a_metric_that_often_goes_missing_is_no_event_when_it_does(rows):
    """Holes that were there while it learnt are usual."""
    learnt = past().tolist()
    for row in range(0, 3000, 7):
        learnt[row][3] = None
    holes = rows.tolist()
    holes[50][3] = None
    assert alarms(told(Jumps.fit(learnt, METRICS), holes)) == []


def test_units_do_not_matter(rows):
    """Bytes or gigabytes, the scores are the same but for rounding."""
    rows[50:, 2] += 4
    units = np.array([1e-6, 1e3, 1e9, 1.0, 1e-3])
    scores = [found.score for found in told(Jumps.fit(past(), METRICS), rows)]
    scaled = [found.score for found in told(Jumps.fit(past() * units, METRICS), rows * units)]
    assert scaled == pytest.approx(scores, abs=1e-6)
