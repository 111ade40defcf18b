"""What is brief and what creeps are both seen, each by its window."""

import random
from datetime import timedelta

import pytest

from models.detectors.contract import Finding
from models.detectors.windows import Windows
from tests.unit.models.detectors.series import START, Rows, after, daily, observed

ODD = 0.5
MINUTE = timedelta(minutes=1)
DAY = 1_440


def noise(rows: int, *, seed: int = 1, rise: float = 0.0, step: timedelta = MINUTE) -> Rows:
    """Values around 50 that rise by `rise` a day."""
    dice = random.Random(seed)
    return [(START + step * row, 50 + dice.gauss(0, 2) + rise * row / DAY) for row in range(rows)]


def odd(findings: list[Finding]) -> list[int]:
    return [row for row, finding in enumerate(findings) if finding.score >= ODD]


def test_a_short_spike_is_seen_in_five_minutes() -> None:
    """The reason names the window, its mean and the usual ones."""
    calm = noise(DAY)
    finding = observed(Windows(), calm + after(calm, *[90.0] * 4, step=MINUTE))[-1]

    assert finding.score > ODD
    assert finding.reasons[0].startswith("the mean of the last 5 min is ")
    assert ", usually 4" in finding.reasons[0]


def test_a_slow_drift_is_seen_in_six_hours() -> None:
    """Three a day for three days are nothing to the shorter windows."""
    calm, drift = noise(10 * DAY), noise(3 * DAY, seed=2, rise=3)
    rows = calm + after(calm, *(value for _, value in drift), step=MINUTE)
    found = [finding for finding in observed(Windows(), rows) if finding.score >= ODD]

    assert found
    assert all("the last 6 h" in finding.reasons[0] for finding in found)


@pytest.mark.parametrize("step", [timedelta(seconds=10), MINUTE, timedelta(minutes=5), timedelta(hours=1)])
def test_noise_is_not_odd_however_often_it_is_measured(step: timedelta) -> None:
    """From every ten seconds to once an hour."""
    assert odd(observed(Windows(), noise(6_000, step=step))) == []


def test_a_wave_of_the_day_is_not_odd() -> None:
    """After some days the windows know it."""
    rows = daily(12, step=timedelta(minutes=5))

    assert odd(observed(Windows(), rows)[4 * 288 :]) == []


def test_nothing_is_said_before_there_is_a_past() -> None:
    """An hour of history is too little to judge five minutes, three hours are enough."""
    calm = noise(60)

    assert observed(Windows(), calm + after(calm, 500.0, step=MINUTE))[-1].score == 0
    assert observed(Windows(), noise(180) + after(noise(180), 500.0, step=MINUTE))[-1].score > ODD


def test_a_window_with_half_its_values_missing_says_nothing() -> None:
    """The first value after a night is no mean of a window."""
    calm = noise(DAY)
    rows = calm + after(calm, *[None] * 600, 95.0, step=MINUTE)

    assert observed(Windows(), rows)[-1].score == 0


def test_a_tenth_of_the_level_does_not_matter() -> None:
    """However steady the series was."""
    calm: Rows = [(START + MINUTE * row, 100.0) for row in range(DAY)]

    assert odd(observed(Windows(), calm + after(calm, *[109.0] * 60, step=MINUTE))) == []
