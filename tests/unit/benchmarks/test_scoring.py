"""Our scores are those of the shared scoring, where it is at hand; and what they are on cases small enough to reckon."""

import importlib.util
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.scoring.events import Counts, counts
from benchmarks.scoring.nab import Windows, tally

SHARED = Path(os.environ.get("SHARED_SCORING", Path(__file__).parents[4] / "shared" / "acceptance" / "scoring"))
START = datetime(2026, 1, 1, tzinfo=UTC)


def shared(name: str) -> ModuleType:
    """The shared scoring module of that name; without it the test is skipped, and says so."""
    path = SHARED / f"{name}.py"
    if not path.is_file():
        pytest.skip(f"NOT PROVEN EQUAL: there is no shared scoring at {SHARED}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_windows(chance: random.Random) -> Windows:
    """A series of some hundred rows with up to three windows and scores in tenths."""
    rows = chance.randint(60, 400)
    times = [START + timedelta(minutes=5 * row) for row in range(rows)]
    edges = sorted(chance.sample(range(rows), 2 * chance.randint(0, 3)))
    windows = [(times[first], times[last]) for first, last in zip(edges[::2], edges[1::2], strict=True)]
    return Windows(times, [chance.randint(0, 10) / 10 for _ in range(rows)], windows)


@pytest.mark.parametrize("seed", range(20))
def test_the_nab_score_is_the_shared_one(seed: int) -> None:
    """Score, windows found and false rows are equal on random series at every threshold."""
    chance = random.Random(seed)
    series = [random_windows(chance) for _ in range(4)]
    series.append(Windows(series[0].times, series[0].scores, [(series[0].times[-9], series[0].times[-2])]))
    theirs = {str(number): tuple(each) for number, each in enumerate(series)}
    for threshold in (0.3, 0.7, 1.0):
        expected = shared("score_nab").score(theirs, threshold=threshold)
        mine = tally(series, threshold)
        assert mine.score == pytest.approx(expected["score"])
        assert (mine.found, mine.false_rows) == (expected["found"], expected["false_rows"])


@pytest.mark.parametrize("seed", range(20))
def test_event_counts_are_the_shared_ones(seed: int) -> None:
    """Found, events, false and alarms are equal on random labels, for any gap, delay and first row."""
    chance = random.Random(seed)
    labels = [chance.random() < 0.1 for _ in range(300)]
    scores = [chance.random() for _ in labels]
    for threshold in (0.5, 0.9, 0.99):
        gap, delay, start = chance.randint(1, 6), chance.randint(0, 6), chance.randint(0, 60)
        expected = shared("score_events").counts(scores, labels, threshold, gap, delay, start)
        mine = counts(scores, labels, threshold=threshold, gap=gap, delay=delay, start=start)
        assert (mine.found, mine.events, mine.false, mine.alarms) == expected


def test_silence_scores_nothing_and_an_early_alarm_nearly_all() -> None:
    """No alarm is 0; an alarm on the left edge of the only window is 100."""
    times = [START + timedelta(minutes=5 * row) for row in range(100)]
    window = (times[50], times[69])
    at_edge = [float(row == 50) for row in range(100)]

    assert tally([Windows(times, [0.0] * 100, [window])], 0.5).score == 0
    assert tally([Windows(times, at_edge, [window])], 0.5).score == pytest.approx(100)


def test_an_alarm_shortly_after_an_event_finds_it() -> None:
    """An alarm three rows after an event is true, one four rows after is false."""
    labels = [10 <= row <= 12 for row in range(30)]

    assert counts([float(row == 15) for row in range(30)], labels, threshold=0.5, start=0) == Counts(1, 1, 0, 1)
    assert counts([float(row == 16) for row in range(30)], labels, threshold=0.5, start=0) == Counts(0, 1, 1, 1)
