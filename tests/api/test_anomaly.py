"""Whoever asks how odd a run is gets an answer, with reasons and what to do."""

import random

import pytest

from tests.api.site import Person

SPEC = {"execution_time_s": 930.0, "failure_count_1h": 4, "cpu_percent": 97.5}
DICE = random.Random(1)
USUAL = [
    {"execution_time_s": DICE.gauss(100, 5), "failure_count_1h": DICE.randrange(2), "cpu_percent": DICE.gauss(50, 4)}
    for _ in range(60)
]


@pytest.mark.parametrize("path", ["/api/v1/ai/anomaly/detect", "/v1/ai/anomaly/detect", "/api/ai/anomaly/detect"])
async def test_the_call_of_the_specification_is_answered(someone: Person, path: str) -> None:
    """As printed, and under each prefix: is it one, how much, why, and what to do."""
    answer = await someone.post(path, SPEC | {"history": USUAL})
    found = answer.json()

    assert answer.status_code == 200
    assert (found["is_anomaly"], found["guardrail_action"]) == (True, "page")
    assert found["score"] > 0.9
    assert found["reasons"][0].startswith("execution_time_s is 930")
    assert {*found["methods"]} == {"isolation_forest", "z_score"}


async def test_a_run_like_all_others_is_none(someone: Person) -> None:
    """Nothing is odd of it and nothing is to be done."""
    found = (await someone.post("/ai/anomaly/detect", USUAL[3] | {"history": USUAL})).json()

    assert (found["is_anomaly"], found["reasons"], found["guardrail_action"]) == (False, [], "none")


async def test_limits_speak_without_any_history(someone: Person) -> None:
    """A single call, with nothing but the errors of the last hour."""
    found = (await someone.post("/ai/anomaly/detect", {"failure_rate": 0.8, "error_signatures": ["refused"] * 40})).json()

    assert found["is_anomaly"]
    assert {*found["methods"]} == {"error_pattern", "rule"}


@pytest.mark.parametrize(
    ("body", "pointer", "sentence"),
    [
        ({}, "", "expected one feature at least: execution_time_s, "),
        ({"history": USUAL}, "", "expected one feature at least: execution_time_s, "),
        ({"execution_time_s": -1}, "/execution_time_s", "must be at least 0"),
        ({"execution_time_s": "long"}, "/execution_time_s", "must be a number"),
        ({"failure_rate": 80}, "/failure_rate", "must be at most 1"),
        ({"cpu": 3}, "/cpu", "is no field of this request"),
        ({"cpu_percent": 3, "history": USUAL * 17}, "/history", "must have at most 1000 items"),
        (
            {"cpu_percent": 3, "history": [{"cpu_percent": 1}, {"cpu_percent": []}]},
            "/history/1/cpu_percent",
            "must be a number",
        ),
        ({"error_signatures": ["x"] * 501}, "/error_signatures", "must have at most 500 items"),
    ],
)
async def test_what_cannot_be_judged_is_refused_precisely(
    someone: Person, body: dict[str, object], pointer: str, sentence: str
) -> None:
    """422, with the place and what belongs there."""
    answer = await someone.post("/ai/anomaly/detect", body)
    (flaw,) = answer.json()["errors"]

    assert answer.status_code == 422
    assert (flaw["pointer"], flaw["message"][: len(sentence)]) == (pointer, sentence)
