"""What becomes of a suspicion: confirmed by the second odd value, dismissed by the usual, over when it was calm for a while."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.anomaly import ALERT, CALM_TO_END, DAMPED, FLAPS_TO_DAMP, HOLD, SILENT_AFTER, Anomaly, AnomalyStatus, Observation
from domain.base import AnomalyId

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def seen(second: float, *, odd: bool = True, detector: str = "outlier", score: float = 0.8, weight: int = 1) -> Observation:
    at = BEGAN + second * SECOND
    return Observation(
        detector=detector, subject="load", at=at, score=score, is_odd=odd, weight=weight, reasons=(f"at {second}",)
    )


def suspected(*later: Observation, detector: str = "outlier", weight: int = 1) -> Anomaly:
    anomaly = Anomaly.of(AnomalyId(int=1), seen(0, detector=detector, weight=weight))
    for each in later:
        anomaly = anomaly.after(each)
    return anomaly


@pytest.mark.parametrize(
    ("anomaly", "second", "verdict"),
    [
        (suspected(), 1, AnomalyStatus.SUSPECTED),
        (suspected(seen(1)), 1, AnomalyStatus.CONFIRMED),
        (suspected(seen(0.1)), 0.2, AnomalyStatus.SUSPECTED),
        (suspected(weight=2), 1, AnomalyStatus.CONFIRMED),
        (suspected(*(seen(number, odd=False) for number in (1, 2))), 3, AnomalyStatus.SUSPECTED),
        (suspected(*(seen(number, odd=False) for number in (1, 2, 3))), 3, AnomalyStatus.DISMISSED),
        (suspected(), SILENT_AFTER.total_seconds(), AnomalyStatus.DISMISSED),
        (suspected(detector=ALERT), 10_000, AnomalyStatus.CONFIRMED),
    ],
)
def test_the_verdict_on_a_suspicion(anomaly, second, verdict):
    """One odd value is none yet; an alert needs no second one, and stays for as long as its sender says nothing."""
    assert anomaly.verdict(BEGAN + second * SECOND) is verdict


@given(odd=st.integers(0, 3), calm=st.integers(0, 4), weight=st.integers(1, 3))
def test_what_ripens_is_confirmed_by_time_alone(odd, calm, weight):
    """And nothing else is, however long one waits."""
    later = [*(seen(0.1 * number) for number in range(odd)), *(seen(0.4, odd=False) for _ in range(calm))]
    anomaly = suspected(*later, weight=weight)

    verdicts = {anomaly.verdict(BEGAN + second * SECOND) for second in (1, 10, SILENT_AFTER.total_seconds())}
    assert anomaly.is_ripening is (AnomalyStatus.CONFIRMED in verdicts)


@given(flaps=st.integers(0, 2 * FLAPS_TO_DAMP), calm=st.integers(0, 2 * DAMPED * CALM_TO_END))
def test_what_has_come_back_often_must_be_calm_for_longer(flaps, calm):
    """Five usual values end what is confirmed, fifty what flaps."""
    anomaly = suspected(seen(1)).model_copy(update={"status": AnomalyStatus.CONFIRMED, "flaps": flaps, "calm": calm})
    enough = CALM_TO_END * (DAMPED if flaps >= FLAPS_TO_DAMP else 1)
    assert (anomaly.verdict(BEGAN) is AnomalyStatus.OVER) is (calm >= enough)


@given(changes=st.integers(0, 10))
def test_an_alert_that_comes_back_flaps(changes):
    """Each firing after a resolved is a flap; over is what was resolved for the hold, or ten times as long when it flaps."""
    alert = suspected(
        *(seen(number, odd=bool(number % 2 == 0), detector=ALERT) for number in range(1, 2 * changes + 2)), detector=ALERT
    )
    hold = HOLD * (DAMPED if alert.is_flapping else 1)

    assert (alert.flaps, alert.is_undecided) == (changes, True)
    assert alert.verdict(alert.seen_at + hold) is AnomalyStatus.OVER
    assert alert.verdict(alert.seen_at + hold - SECOND) is AnomalyStatus.CONFIRMED


def test_an_old_suspicion_begins_anew():
    """Two odd values an hour apart are not one anomaly."""
    anomaly = suspected(seen(3_600))
    assert (anomaly.began_at, anomaly.odd) == (BEGAN + 3_600 * SECOND, 1)


def test_the_oddest_gives_the_reasons():
    """The others count."""
    anomaly = suspected(seen(1, score=0.9), seen(2, score=0.7))
    assert (anomaly.odd, anomaly.score, anomaly.reasons) == (3, 0.9, ("at 1",))
