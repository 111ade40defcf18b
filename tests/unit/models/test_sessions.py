"""Odd sessions: an unseen step, an unusual number, an end that did not come."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.sessions import ALARM, MOST_KEPT, Sessions

EVENTS = st.sampled_from(["open", "read", "write", "close", "retry", "lost"]) | st.text(max_size=3)
LISTS = st.lists(EVENTS, max_size=12)
USUAL = (
    [["open", "read", "read", "close"]] * 60 + [["open", "write", "close"]] * 39 + [["open", "read", "retry", "read", "close"]]
)


@pytest.fixture
def detector() -> Sessions:
    return Sessions.fit(USUAL)


@pytest.mark.parametrize(
    ("session", "event"),
    [
        (["open", "read", "read"], "close"),
        (["open", "read", "read", "read", "close"], "read"),
        (["open", "close"], "close"),
        (["open", "write", "lost", "close"], "lost"),
        (["open", "write", "open", "write", "close"], "open"),
        ([], "open"),
    ],
)
def test_what_never_happened_is_odd_and_says_what_it_was(detector, session, event):
    """A missing end, one too many, a step never taken, a word never heard, nothing at all."""
    finding = detector.score(session)
    assert finding.score >= ALARM
    assert event in finding.metrics
    assert " of 100 sessions" in finding.reasons[0]


@pytest.mark.parametrize("session", [USUAL[0], USUAL[60]])
def test_what_often_happened_is_not(detector, session):
    """And nothing is said of it."""
    finding = detector.score(session)
    assert finding.score < ALARM
    assert finding.reasons == ()


def test_the_quantile_itself_is_no_alarm():
    """When every session is like the next, none is odd."""
    assert Sessions.fit([["open", "close"]] * 50).score(["open", "close"]).score < ALARM


@given(st.lists(LISTS, min_size=1, max_size=20), LISTS, st.randoms(use_true_random=False))
def test_the_order_of_the_sessions_does_not_matter(known, session, dice):
    """It learns how many had the like, not when."""
    shuffled = dice.sample(known, len(known))
    assert Sessions.fit(shuffled).score(session).score == Sessions.fit(known).score(session).score


@given(st.lists(LISTS, min_size=1, max_size=20), LISTS)
def test_a_restored_detector_scores_alike(known, session):
    """Through JSON and back; every session has a score between 0 and 1."""
    detector = Sessions.fit(known)
    again = Sessions.restored(json.loads(json.dumps(detector.state())))
    assert again.score(session) == detector.score(session)


def test_memory_is_bounded():
    """However many words there were, only the commonest are kept."""
    state = Sessions.fit([[str(number)] for number in range(MOST_KEPT)]).state()
    assert len(state["steps"]) <= MOST_KEPT
    assert len(state["times"]) <= MOST_KEPT


def test_nothing_is_learnt_from_nothing():
    """Without sessions there is no detector."""
    with pytest.raises(ValueError, match="at least one session"):
        Sessions.fit([])
