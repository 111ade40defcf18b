"""Series for the detectors' tests: calm ones made by rule, and any that hypothesis thinks of."""

import math
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from models.detectors.contract import Detector, Finding

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

Rows = list[tuple[datetime, float | None]]


def daily(days: int, *, step: timedelta = HOUR, seed: int = 1) -> Rows:
    """A wave of 24 hours from 100 to 300, with a little noise."""
    noise = random.Random(seed)
    times = [START + step * number for number in range(int(timedelta(days=days) / step))]
    return [(at, 200 - 100 * math.cos(2 * math.pi * at.hour / 24) + noise.gauss(0, 2)) for at in times]


def steady(rows: int, *, step: timedelta = HOUR, seed: int = 1) -> Rows:
    """Values around 50 that hardly move."""
    noise = random.Random(seed)
    return [(START + step * number, 50 + noise.gauss(0, 1)) for number in range(rows)]


def observed(detector: Detector, rows: Iterable[tuple[datetime, float | None]]) -> list[Finding]:
    return [detector.observe(at, (value,)) for at, value in rows]


def after(rows: Rows, *values: float | None, step: timedelta = HOUR) -> Rows:
    """The rows that follow at even steps."""
    return [(rows[-1][0] + step * number, value) for number, value in enumerate(values, start=1)]


VALUES = st.none() | st.floats(allow_infinity=False) | st.sampled_from([0.0, 1.0, -1.0, 200.0, 1e6, 1e308, -1e308, 5e-324])
GAPS = st.sampled_from([timedelta(0), timedelta(minutes=5), HOUR, timedelta(days=3), timedelta(days=400)])
TAILS = st.lists(st.tuples(GAPS, VALUES), max_size=40)


def with_tail(rows: Rows, tail: list[tuple[timedelta, float | None]]) -> Rows:
    at = rows[-1][0]
    return rows + [(at := at + gap, value) for gap, value in tail]
