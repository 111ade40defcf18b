"""When the mix of templates has shifted, and which of them did it."""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detectors.contract import Finding
from models.detectors.mixture import MOST, Mixture
from tests.unit.models.detectors.series import START

ODD = 0.5
ROWS = st.lists(st.none() | st.dictionaries(st.integers(0, 9), st.floats() | st.integers(-2, 40), max_size=6), max_size=25)


def drawn(dice: random.Random, lines: int = 300) -> dict[int, float]:
    """So many lines of thirty templates, the first the commonest."""
    weights = [1 / (number + 1) for number in range(30)]
    return {number: float(came) for number, came in Counter(dice.choices(range(30), weights, k=lines)).items()}


def history(rows: int = 200, seed: int = 1) -> list[dict[int, float]]:
    dice = random.Random(seed)
    return [drawn(dice) for _ in range(rows)]


def told(rows: Sequence[Mapping[int, float] | None]) -> list[Finding]:
    detector = Mixture()
    return [detector.observe(START, row) for row in rows]


def after(change: Mapping[int, float], known: list[dict[int, float]] | None = None) -> Finding:
    """What is said of an interval of the usual mix but for `change`."""
    known = history() if known is None else known
    return told([*known, drawn(random.Random(9)) | dict(change)])[-1]


def test_a_new_template_is_named_with_its_lines() -> None:
    """A few lines of one kind that was never seen are enough."""
    finding = after({77: 15.0})

    assert finding.score > ODD
    assert finding.metrics == ("77",)
    assert finding.reasons == ("template 77 is new and came 15 times",)


def test_a_rare_template_that_comes_often_is_blamed() -> None:
    """With how often it usually comes among so many lines."""
    finding = after({29: 30.0})

    assert finding.score > ODD
    assert finding.metrics == ("29",)
    assert finding.reasons[0].startswith("template 29 came 30 times, usually 2.")


def test_a_common_template_that_stays_away_is_blamed() -> None:
    """That it did not come is what is odd."""
    finding = after({0: 0.0})

    assert finding.score > ODD
    assert finding.metrics[0] == "0"
    assert finding.reasons[0].startswith("template 0 came 0 times, usually ")


def test_one_line_of_a_new_template_is_not_odd() -> None:
    """New lines turn up."""
    assert after({77: 1.0}).score < ODD


def test_the_usual_mix_is_never_odd() -> None:
    """However much or little of it comes."""
    dice = random.Random(3)
    sizes = [drawn(dice, lines=dice.choice((20, 300, 3_000))) for _ in range(400)]

    assert max(finding.score for finding in told(sizes)) < ODD


def test_a_template_that_comes_in_clumps_is_known_for_it() -> None:
    """Where a hundred lines of it come every fifth interval, they are not odd, and do not hide another shift."""
    dice = random.Random(4)
    clumps = [row | ({50: 100.0} if dice.random() < 0.2 else {}) for row in history()]

    assert after({50: 100.0}, clumps).score < ODD
    assert after({50: 100.0, 77: 30.0}, clumps).metrics[0] == "77"


def test_one_shift_does_not_hide_the_next() -> None:
    """The second new template is as odd as the first, or nearly."""
    first = after({77: 40.0})
    second = after({78: 40.0}, [*history(), history()[0] | {77: 40.0}, *history(20, seed=5)])

    assert second.score == pytest.approx(first.score, abs=0.1)


def test_a_mix_that_stays_shifted_is_usual_in_the_end() -> None:
    """A release that logs another template is news at first."""
    findings = told([*history(), *(row | {77: 40.0} for row in history(100, seed=6))])

    assert findings[200].score > ODD
    assert findings[-1].score < ODD


def test_a_template_that_joined_another_is_no_news() -> None:
    """Its lines count for the heir, as those of before do."""
    detector = Mixture()
    for row in history():
        detector.observe(START, row)
    detector.absorb(0, [3, 4, 400])
    row = drawn(random.Random(9))
    joined = {**row, 0: row[0] + row.pop(3) + row.pop(4)}

    assert detector.observe(START, {number: joined[number] for number in joined if number not in {3, 4}}).score < ODD


def test_an_interval_of_which_nothing_is_known_teaches_nothing() -> None:
    """Neither does one without a line; that is for `Volume` to judge."""
    detector = Mixture()
    for row in history(20):
        detector.observe(START, row)
    before = detector.state()

    assert [detector.observe(START, row).score for row in (None, {}, {3: 0.0})] == [0, 0, 0]
    assert detector.state() == before


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, more=ROWS)
def test_a_restored_detector_goes_on_alike(rows, more) -> None:
    """Through JSON and back, wherever it was left off; and every score is one."""
    first = Mixture()
    for row in rows:
        first.observe(START, row)
    second = Mixture.restored(json.loads(json.dumps(first.state())))
    findings = [first.observe(START, row) for row in more]

    assert [second.observe(START, row) for row in more] == findings
    assert all(0 <= finding.score <= 1 for finding in findings)


def test_the_rarest_templates_make_room() -> None:
    """After ten thousand templates it knows no more than two thousand, the common ones among them."""
    detector = Mixture()
    for number in range(100):
        detector.observe(START, {1: 500.0} | {1_000 + number * 100 + each: 1.0 for each in range(100)})
    known = detector.state()["usual"]

    assert isinstance(known, list)
    assert len(known) <= MOST
    assert any(isinstance(each, dict) and each["number"] == 1 for each in known)
