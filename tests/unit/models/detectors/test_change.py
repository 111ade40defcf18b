"""When a series changed for good, and what is no change."""

import math
import random
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from models.detectors.change import Change
from tests.unit.models.detectors.series import START, observed

LIKELY = 0.5
ROWS = 3_000


def scores(values: list[float]) -> list[float]:
    rows = [(START + timedelta(minutes=number), value) for number, value in enumerate(values)]
    return [finding.score for finding in observed(Change(), rows)]


def likely(values: list[float]) -> list[int]:
    return [row for row, score in enumerate(scores(values)) if score >= LIKELY]


def noise(rows: int, seed: int = 1) -> list[float]:
    dice = random.Random(seed)
    return [50 + dice.gauss(0, 1) for _ in range(rows)]


def wandering(share: float, seed: int = 1) -> list[float]:
    """Each value holds on to a share of the one before."""
    values = [0.0]
    for step in noise(ROWS, seed):
        values.append(share * values[-1] + step - 50)
    return values


def skewed() -> list[float]:
    dice = random.Random(5)
    return [dice.expovariate(1) ** 2 for _ in range(ROWS)]


def counts() -> list[float]:
    dice = random.Random(6)
    return [float(dice.random() < 0.2) + float(dice.random() < 0.05) for _ in range(ROWS)]


def spiky() -> list[float]:
    dice = random.Random(7)
    return [value + 40 * (dice.random() < 0.01) for value in noise(ROWS)]


def wave() -> list[float]:
    return [3 * math.sin(row / 45) + value for row, value in enumerate(noise(ROWS))]


@pytest.mark.parametrize("shift", [4.0, -4.0])
def test_a_new_level_is_found_within_ten_rows(shift: float) -> None:
    """And is news for forty; a level that stays is none."""
    rows = likely(noise(500) + [value + shift for value in noise(500, seed=2)])

    assert 503 <= rows[0] <= 510
    assert rows[-1] <= 600


@pytest.mark.parametrize("factor", [5.0, 0.1])
def test_a_new_spread_is_found_within_thirty_rows(factor: float) -> None:
    """A series that grows restless or goes still around the same level has changed."""
    rows = likely(noise(500) + [50 + factor * (value - 50) for value in noise(200, seed=2)])

    assert 503 <= rows[0] <= 530


def test_a_reason_tells_before_from_after() -> None:
    """It gives the rows since the change, and where most values lie on both sides."""
    values = [float(50 + number % 3) for number in range(300)] + [float(90 + number % 3) for number in range(10)]
    rows = [(START + timedelta(minutes=number), value) for number, value in enumerate(values)]

    assert observed(Change(), rows)[-1].reasons == ("the last 10 values are mostly 90 to 92, those before 50 to 52",)


def test_a_series_that_never_moved_has_changed_when_it_does() -> None:
    """However small the step."""
    assert likely([7.0] * 300 + [7.001] * 20)[0] == 303


def test_a_spike_is_no_change() -> None:
    """A value or two far away, and back."""
    assert likely([*noise(500), 5_000.0, 4_000.0, *noise(100, seed=2)]) == []


@pytest.mark.parametrize(
    "made",
    [
        lambda: noise(ROWS),
        skewed,
        counts,
        spiky,
        wave,
        *(lambda share=share: wandering(share) for share in (0.5, 0.9, 0.99, 1.0)),
    ],
    ids=["even", "skewed", "counts", "spiky", "wave", "hardly wanders", "wanders", "wanders far", "wanders without end"],
)
def test_what_goes_on_as_it_was_has_not_changed(made: Callable[[], list[float]]) -> None:
    """In 3,000 rows without a change at most one is called."""
    rows = likely(made())

    assert sum(1 for before, row in zip([-10, *rows], rows, strict=False) if row > before + 10) <= 1


def test_neither_units_nor_their_origin_matter() -> None:
    """Celsius or Kelvin, bytes or gigabytes: powers of two leave no trace at all."""
    values = [round(value * 8) / 8 for value in noise(300) + [value + 4 for value in noise(50, seed=2)]]

    assert scores([value * 1024 + 512 for value in values]) == scores(values)


def test_the_density_is_students() -> None:
    """What a run of three numbers makes of the next is the predictive Student's t of the normal-gamma prior."""
    detector = Change()
    for number in (0.5, -0.2, 1.0):
        detector._take(number)
    mean = 1.3 / 3.1
    scale = 1 + (1.29 - 1.3**2 / 3) / 2 + 0.1 * 3 * (1.3 / 3) ** 2 / (2 * 3.1)

    assert detector._mean[3] == pytest.approx(mean)
    assert detector._scale[3] == pytest.approx(scale)
    before = detector._chance.copy()
    spread = math.sqrt(scale * 4.1 / (2.5 * 3.1))
    density = stats.t.pdf(0.7, df=5, loc=mean, scale=spread)
    long_run = stats.t.pdf(0.7, df=252, loc=detector._mean[-1], scale=math.sqrt(detector._scale[-1] / 126 * (1 + 1 / 250.1)))
    detector._take(0.7)

    assert detector._chance[4] / detector._chance[-1] == pytest.approx(before[3] * density / (before[-1] * long_run))


def test_the_chances_stay_chances() -> None:
    """They sum to one after any number of rows."""
    detector = Change()
    for number in np.random.default_rng(1).normal(size=600):
        detector._take(float(number))

    assert detector._chance.sum() == pytest.approx(1)
    assert (detector._chance >= 0).all()
