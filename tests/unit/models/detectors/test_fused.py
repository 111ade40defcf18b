"""What several findings come to together."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.detectors.contract import Finding
from models.detectors.fused import Fused, Guardrail, Heard, TrackRecord, fused, guardrail

SCORES = st.floats(0, 1)
RECORDS = st.builds(TrackRecord, right=st.integers(0, 50), false=st.integers(0, 50))
HEARD = st.builds(
    Heard,
    detector=st.sampled_from(["burst", "kde", "esd", "volume"]),
    finding=st.builds(Finding, score=SCORES, reasons=st.lists(st.sampled_from("abcdefgh"), max_size=3).map(tuple)),
    record=RECORDS,
)


def said(score: float, *, by: str = "burst", right: int = 0, false: int = 0) -> Heard:
    finding = Finding(score=score, reasons=(f"{by} says so",) if score >= 0.5 else (), metrics=(f"of {by}",))
    return Heard(detector=by, finding=finding, record=TrackRecord(right=right, false=false))


def together(*heard: Heard) -> Fused:
    return fused(heard)


@given(score=st.floats(0, 0.999))
def test_a_detector_alone_of_which_nothing_is_known_is_believed_as_it_is(score: float) -> None:
    """The score of one is its own, and so is its action."""
    assert together(said(score)).score == pytest.approx(score, abs=1e-9)
    assert together(said(0.6)).action is Guardrail.ALERT


def test_two_that_agree_are_odder_than_one() -> None:
    """And their reasons come in the order of their strength."""
    both = together(said(0.6, by="kde"), said(0.8))

    assert 0.8 < both.score < 0.9
    assert both.reasons == ("burst says so", "kde says so")
    assert both.metrics == ("of burst", "of kde")
    assert both.detectors == ("burst", "kde")


def test_a_crowd_of_one_mind_does_not_page() -> None:
    """Ten detectors that are each a little past odd are no certainty."""
    assert together(*(said(0.6, by=f"d{number}") for number in range(10))).action is Guardrail.ALERT


def test_one_that_was_mostly_wrong_moves_little() -> None:
    """Ninety false alarms of a hundred make a strong finding a weak one, ninety right ones a stronger."""
    wrong, unknown, right = (
        together(said(0.8, right=10, false=90)),
        together(said(0.8)),
        together(said(0.8, right=90, false=10)),
    )

    assert 0.5 < wrong.score < 0.6 < unknown.score < right.score
    assert wrong.action is Guardrail.WATCH


def test_one_that_is_quiet_takes_nothing_back() -> None:
    """Silence of a detector is not a word against the others."""
    assert together(said(0.8), said(0.1, by="kde", right=100)) == together(said(0.8))


def test_where_none_is_odd_the_highest_is_told() -> None:
    """Without reasons, and nothing is done."""
    assert together(said(0.2), said(0.4, by="kde")) == Fused(
        score=0.4, reasons=(), metrics=(), detectors=(), action=Guardrail.NONE
    )


def test_of_nothing_heard_nothing_is_odd() -> None:
    """No finding, no score."""
    assert together().score == 0


@given(heard=st.lists(HEARD, max_size=8), seed=st.integers(0, 99))
def test_the_order_does_not_matter(heard: list[Heard], seed: int) -> None:
    """It is the same set of findings; the reasons of equals may trade places."""
    mixed = random.Random(seed).sample(heard, len(heard))

    assert fused(mixed).score == pytest.approx(fused(heard).score, abs=2e-9)


@given(heard=st.lists(HEARD, min_size=1, max_size=6), higher=SCORES)
def test_a_higher_finding_never_lowers_the_score(heard: list[Heard], higher: float) -> None:
    """Nor does one more of them."""
    first = heard[0].model_copy(update={"finding": Finding(score=max(higher, heard[0].finding.score))})

    assert fused([first, *heard[1:]]).score >= fused(heard).score - 2e-9 >= fused(heard[1:]).score - 4e-9


@given(right=st.integers(0, 1_000), false=st.integers(1, 1_000))
def test_a_precision_lies_between_the_share_and_a_half(right: int, false: int) -> None:
    """The nearer to the share of right alarms the more there were."""
    share, precision = right / (right + false), TrackRecord(right=right, false=false).precision

    assert min(share, 0.5) - 1e-12 <= precision <= max(share, 0.5) + 1e-12
    assert abs(precision - share) <= 2 / (right + false + 4)
    assert TrackRecord().precision == 0.5


@pytest.mark.parametrize(
    ("score", "action"),
    [(0.0, "none"), (0.49, "none"), (0.5, "watch"), (0.6, "alert"), (0.75, "hold_changes"), (0.9, "page"), (1.0, "page")],
)
def test_each_score_has_its_action(score: float, action: str) -> None:
    """The rule that the enum states."""
    assert guardrail(score) == action


def test_reasons_are_few_and_each_is_said_once() -> None:
    """Five at most, however many detectors speak."""
    assert len(together(*(said(0.7, by=f"d{number % 7}") for number in range(20))).reasons) == 5
