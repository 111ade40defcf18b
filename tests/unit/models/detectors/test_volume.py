"""Less, more, and nothing."""

import random
from datetime import timedelta

import pytest

from models.detectors.contract import Finding
from models.detectors.volume import Volume
from tests.unit.models.detectors.series import START

ODD = 0.5
DICE = random.Random(7)
LOADS = [DICE.gauss(10_000, 300) for _ in range(60)]


def told(*volumes: float | None, of: str = "rows") -> list[Finding]:
    detector = Volume(of)
    return [detector.observe(START + timedelta(days=number), (volume,)) for number, volume in enumerate(volumes)]


@pytest.mark.parametrize(("volume", "said"), [(2_000.0, "2,000 rows, usually 9,"), (90_000.0, "90,000 rows, usually 9,")])
def test_far_less_and_far_more_are_odd(volume: float, said: str) -> None:
    """A fifth and nine times the usual; the reason says both."""
    findings = told(*LOADS, volume)

    assert findings[-1].score > 0.7
    assert findings[-1].reasons[0].startswith(said)
    assert max(finding.score for finding in findings[:-1]) < ODD


def test_a_quarter_more_does_not_matter() -> None:
    """However even the volumes were."""
    assert told(*[1_000.0] * 50, 1_200.0)[-1].score < ODD


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_units_do_not_matter(factor: float) -> None:
    """Bytes or terabytes, the score is the same."""
    assert told(*(load * factor for load in LOADS), 4_000 * factor)[-1].score == pytest.approx(
        told(*LOADS, 4_000.0)[-1].score, abs=1e-6
    )


def test_nothing_is_odd_where_there_was_always_something() -> None:
    """Already after nine runs, and the more the longer it never happened."""
    young, old = told(*LOADS[:9], 0.0, of="bytes")[-1], told(*LOADS, 0.0)[-1]

    assert young.score >= ODD
    assert young.reasons[0].startswith("no bytes, usually ")
    assert old.score > young.score


def test_nothing_is_usual_where_there_often_is() -> None:
    """Every fourth run brings nothing: neither that nor something is odd."""
    findings = told(*(0.0 if number % 4 == 0 else load for number, load in enumerate(LOADS)))

    assert max(finding.score for finding in findings[16:]) < ODD


def test_something_is_odd_where_there_was_never_anything() -> None:
    """The first rows of a table of errors."""
    finding = told(*[0.0] * 30, 12.0, of="rejected rows")[-1]

    assert finding.score > ODD
    assert finding.reasons == ("12 rejected rows, usually none",)


def test_weekends_are_not_odd() -> None:
    """Two days of each seven bring a fifth."""
    weeks = [load * (0.2 if number % 7 > 4 else 1) for number, load in enumerate(LOADS)]

    assert max(finding.score for finding in told(*weeks)[28:]) < ODD


def test_a_new_level_is_usual_in_the_end() -> None:
    """A hundred times as much is odd at first, and not after as many runs as it remembers."""
    findings = told(*LOADS, *(load * 100 for load in LOADS * 4))

    assert findings[60].score > ODD
    assert findings[-1].score < ODD
