"""How a run is judged by those before it, by fixed limits and by its errors."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.anomaly import FOREST_ROWS, RULES, Anomaly, Method, Rule, by_errors, by_forest, by_rules, by_z_scores, detect
from models.detectors.fused import Guardrail, TrackRecord
from models.features import NAMES, Features, column, row

ODD = 0.5
REFUSED = "connection refused by #"
AMOUNTS = st.none() | st.floats(0, 1e300) | st.sampled_from([0.0, 1.0, 5e-324])
ANY = st.builds(
    Features,
    execution_time_s=AMOUNTS,
    failure_rate=st.none() | st.floats(0, 1),
    cpu_percent=AMOUNTS,
    data_volume_rows=AMOUNTS,
    error_signatures=st.lists(st.sampled_from(["a", "b"]), max_size=9).map(tuple),
)


def run(dice: random.Random, **known: float | tuple[str, ...] | None) -> Features:
    """A run like all others, but for what is given."""
    usual = {
        "execution_time_s": 120 * dice.lognormvariate(0, 0.15),
        "failure_count_1h": float(dice.random() < 0.2),
        "failure_rate": 0.05 * (dice.random() < 0.2),
        "retry_count": float(dice.random() < 0.1),
        "cpu_percent": dice.gauss(50, 6),
        "memory_percent": dice.gauss(60, 3),
        "data_volume_rows": dice.gauss(10_000, 500),
        "throughput_rows_s": dice.gauss(80, 8),
        "latency_ms": 40 * dice.lognormvariate(0, 0.3),
    }
    return Features.model_validate(usual | known)


def runs(many: int, seed: int = 1) -> list[Features]:
    dice = random.Random(seed)
    return [run(dice) for _ in range(many)]


HISTORY = runs(200)
BUSY = run(
    random.Random(5), execution_time_s=170.0, cpu_percent=70.0, memory_percent=70.0, latency_ms=90.0, throughput_rows_s=105.0
)


def judged(**known: float | tuple[str, ...] | None) -> Anomaly:
    return detect(run(random.Random(5), **known), HISTORY)


def test_the_features_have_the_names_of_the_specification() -> None:
    """Those that it prints, and each is a number of the row, in the order of the names."""
    features = Features(execution_time_s=3, failure_count_1h=2, cpu_percent=1)

    assert {"execution_time_s", "failure_count_1h", "cpu_percent"} <= set(NAMES)
    assert dict(zip(NAMES, row(features), strict=True)) == features.model_dump(exclude={"error_signatures"})
    assert column([features, Features()], "cpu_percent") == [1]


@pytest.mark.parametrize(
    ("known", "feature"),
    [
        ({"execution_time_s": 900.0}, "execution_time_s"),
        ({"data_volume_rows": 0.0}, "data_volume_rows"),
        ({"failure_count_1h": 25.0}, "failure_count_1h"),
        ({"cpu_percent": 99.0}, "cpu_percent"),
        ({"memory_percent": 97.0}, "memory_percent"),
        ({"error_signatures": (REFUSED,) * 20}, "error_signatures"),
    ],
)
def test_each_target_of_the_specification_is_found_and_named(known, feature: str) -> None:
    """Unusual time, volume, failures, resources and bursts of an error: blamed first, with a reason that names it."""
    anomaly = judged(**known)

    assert anomaly.is_anomaly
    assert anomaly.features[0] == feature
    assert anomaly.guardrail_action is not Guardrail.NONE
    assert feature in anomaly.reasons[0] or REFUSED in anomaly.reasons[0]


def test_a_usual_run_is_hardly_ever_an_anomaly() -> None:
    """Of forty at most two, and nothing is done about the others."""
    judgements = [detect(each, HISTORY) for each in runs(40, seed=2)]

    assert sum(each.is_anomaly for each in judgements) <= 2
    assert all(each.guardrail_action is Guardrail.NONE and each.reasons == () for each in judgements if not each.is_anomaly)


def test_features_that_are_odd_only_together_are_found_by_the_forest() -> None:
    """Each a little high, none by five deviations."""
    finding = by_forest(BUSY, HISTORY)

    assert by_z_scores(BUSY, HISTORY).score < ODD
    assert finding.score >= ODD
    assert finding.reasons[0].endswith(" are together unlike 200 runs before")


def test_the_forest_waits_for_thirty_rows() -> None:
    """Fewer are no forest."""
    assert by_forest(BUSY, HISTORY[: FOREST_ROWS - 1]).score == 0
    assert by_forest(BUSY, HISTORY[:FOREST_ROWS]).score > ODD


def test_a_z_score_says_how_many_deviations() -> None:
    """Of a history whose middle is 100 and whose median deviation is 10."""
    history = [Features(latency_ms=value) for value in (80, 90, 90, 100, 100, 100, 110, 110, 120)]
    finding = by_z_scores(Features(latency_ms=250), history)

    assert finding.reasons == ("latency_ms is 250, 10.1 deviations above 100",)
    assert finding.metrics == ("latency_ms",)


def test_fewer_failures_than_usual_are_no_anomaly() -> None:
    """Better is not odd, where there is a better."""
    history = [Features(failure_count_1h=50, latency_ms=500)] * 20

    assert by_z_scores(Features(failure_count_1h=0, latency_ms=1), history).score == 0


def test_a_feature_that_never_moved_may_move_a_little() -> None:
    """By a few percent of a processor, or by a run that failed."""
    history = [Features(cpu_percent=40, failure_count_1h=0)] * 50

    assert by_z_scores(Features(cpu_percent=50, failure_count_1h=2), history).score < ODD


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.feature)
def test_a_rule_holds_without_any_history(rule: Rule) -> None:
    """At its limit it is broken and says so, just before it is not."""
    assert rule.at_least is not None
    broken, kept = (Features.model_validate({rule.feature: rule.at_least * part}) for part in (1, 0.99))

    assert detect(broken, []).is_anomaly
    assert f"{rule.feature} is " in detect(broken, []).reasons[0]
    assert by_rules(kept, RULES).score == 0


def test_rules_can_be_other_ones() -> None:
    """A lower limit is one too."""
    rules = [Rule(feature="data_volume_rows", at_most=0, score=0.9)]
    anomaly = detect(Features(data_volume_rows=0), [], rules=rules)

    assert anomaly.guardrail_action is Guardrail.PAGE
    assert anomaly.reasons == ("data_volume_rows is 0, up to 0 it is too little",)
    assert not detect(Features(data_volume_rows=1), [], rules=rules).is_anomaly


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"feature": "cpu", "at_least": 1}, "expected one of execution_time_s, "),
        ({"feature": "cpu_percent"}, "expected either at_least or at_most"),
        ({"feature": "cpu_percent", "at_least": 1, "at_most": 2}, "expected either at_least or at_most"),
    ],
)
def test_a_rule_without_sense_is_refused(rule, said: str) -> None:
    """It names a feature and one limit."""
    with pytest.raises(ValidationError, match=said):
        Rule.model_validate(rule | {"score": 0.6})


def test_an_error_that_repeats_is_odd_unless_it_always_does() -> None:
    """Fifteen times after never is odd; after fifteen times in each run it is not."""
    now = Features(error_signatures=(REFUSED,) * 15 + ("other",))
    always = [Features(error_signatures=(REFUSED,) * dozen) for dozen in (13, 14, 15, 16, 17) * 4]

    assert by_errors(now, [Features()] * 20).reasons == (f"the error {REFUSED} came 15 times",)
    assert by_errors(now, always).score < ODD
    assert by_errors(Features(error_signatures=("a", "b", "c", "d")), []).score == 0


def test_a_method_that_was_often_wrong_is_heard_less() -> None:
    """The records are those of the caller; without them all methods weigh alike."""
    odd = run(random.Random(5), execution_time_s=900.0)
    plain = detect(odd, HISTORY)
    doubted = detect(odd, HISTORY, records={Method.Z_SCORE: TrackRecord(right=1, false=60)})

    assert ODD < doubted.score < plain.score
    assert plain.methods[0] is Method.Z_SCORE


def test_what_is_unknown_is_not_zero() -> None:
    """A run of which hardly anything is known is judged by that."""
    assert not detect(Features(cpu_percent=50), HISTORY).is_anomaly
    assert not detect(Features(), HISTORY).is_anomaly
    assert not detect(Features(cpu_percent=50), [Features()] * 50).is_anomaly


def test_only_the_last_thousand_rows_count() -> None:
    """What is older is forgotten."""
    assert detect(HISTORY[0], [Features(cpu_percent=1e9)] * 500 + HISTORY * 5) == detect(HISTORY[0], HISTORY * 5)


@settings(max_examples=25, deadline=None)
@given(features=ANY, history=st.lists(ANY, max_size=40))
def test_any_run_is_judged(features: Features, history: list[Features]) -> None:
    """Whatever is known and unknown, the score is one and an anomaly has its reasons."""
    anomaly = detect(features, history)

    assert 0 <= anomaly.score <= 1
    assert anomaly.is_anomaly == (anomaly.score >= ODD)
    assert anomaly.is_anomaly == bool(anomaly.reasons) == bool(anomaly.features)
