"""Each stage of the demo, started as the runner starts it."""

import csv
from pathlib import Path
from typing import Any

import pytest

from demo.upstream import Upstream

DATA = Path(__file__).parents[3] / "demo/ad_cost/src/data"


def test_the_series_pass_through_all_stages_up_to_the_load(ad_cost: Any):
    """Each hour of both series becomes one joined row with what a thousand views brought."""
    ad_cost.start_until("load")
    with (ad_cost.outputs("join") / "joined.csv").open() as file:
        rows = list(csv.DictReader(file))
    first = {
        "hour": "2011-07-01 00:00:00",
        "cost_per_click": "0.102709",
        "cost_per_mille": "0.405423",
        "clicks_per_mille": "3.947296",
    }
    assert rows[0] == first
    assert (ad_cost.rows("extract"), ad_cost.rows("join")) == (2 * 1538, 1538)


@pytest.mark.parametrize("exchange", ["exchange-2", "exchange-4"])
def test_every_exchange_can_be_joined(ad_cost: Any, exchange: str):
    """Also the one with two values for one hour."""
    ad_cost.configure(exchange=exchange)
    ad_cost.start_until("load")
    assert ad_cost.rows("join") > 1600


@pytest.mark.parametrize(
    ("key", "stage", "sentence"),
    [
        (
            "value_column",
            "extract",
            "extract: column 'gone' not found in exchange-3_cpc_results.csv; present: timestamp, value",
        ),
        ("click_column", "validate", "validate: column 'gone' not found in extract output; present: timestamp, cpc, cpm"),
        ("mille_column", "validate", "validate: column 'gone' not found in extract output; present: timestamp, cpc, cpm"),
        ("join_column", "join", "join: column 'gone' not found in validate output; present: timestamp, cost"),
        (
            "load_column",
            "load",
            "load: column 'gone' not found in join output; present: hour, cost_per_click, cost_per_mille, clicks_per_mille",
        ),
    ],
)
def test_a_renamed_column_breaks_the_stage_that_uses_it(ad_cost: Any, key: str, stage: str, sentence: str):
    """The stages before it pass; it fails with one line that says what it looked for and what there is."""
    ad_cost.configure(**{key: "gone"})
    ad_cost.start_until(stage)
    assert ad_cost.start(stage) == (1, sentence + "\n")


def test_a_value_that_is_no_amount_is_refused_by_line(ad_cost: Any):
    """Validation names the line of the file."""
    ad_cost.start_until("validate")
    (ad_cost.outputs("extract") / "cpc.csv").write_text("timestamp,cpc\n2011-07-01 00:00:00,1\n2011-07-01 01:00:00,nan\n")
    assert ad_cost.start("validate") == (1, "validate: line 3: 'cpc' is not an amount\n")


def test_time_that_runs_back_is_refused(ad_cost: Any):
    """Validation names both instants."""
    ad_cost.start_until("validate")
    (ad_cost.outputs("extract") / "cpc.csv").write_text("timestamp,cpc\n2011-07-01 01:00:00,1\n2011-07-01 00:00:00,1\n")
    said = "validate: line 3: time runs back from 2011-07-01 01:00:00 to 2011-07-01 00:00:00\n"
    assert ad_cost.start("validate") == (1, said)


def test_a_failing_upstream_fails_the_stage_once(ad_feed: Any):
    """A 503 is exit 1 after a single request; the next start passes."""
    with Upstream(DATA) as upstream:
        ad_feed.configure(source=upstream.url)
        upstream.fail_next(1)
        code, said = ad_feed.start("extract")
        asked = upstream.requests
        again = ad_feed.start("extract")
    address = f"{upstream.url}exchange-4_cpc_results.csv"
    assert (code, said, asked) == (1, f"extract: {address} answered 503 Service Unavailable\n", 1)
    assert (again, upstream.requests) == ((0, ""), 3)
    assert ad_feed.start("validate") == (0, "")


def test_an_upstream_that_is_gone_is_one_line(ad_feed: Any):
    """Nobody listening is an error of one line, not a traceback."""
    with Upstream(DATA) as upstream:
        ad_feed.configure(source=upstream.url)
    code, said = ad_feed.start("extract")
    assert (code, said.count("\n")) == (1, 1)
    assert "is out of reach" in said


def test_the_report_escapes_what_it_shows(ad_cost: Any):
    """A column name with markup in it stays text."""
    column = "<script>alert(1)</script>"
    ad_cost.configure(chart_column=column)
    for stage, name, text in (
        ("join", "joined.csv", f"hour,{column}\n2011-07-01 00:00:00,1\n2011-07-01 01:00:00,3\n"),
        ("load", "loaded.json", '{"rows": "<b>2</b>"}'),
    ):
        ad_cost.outputs(stage).mkdir(parents=True)
        (ad_cost.outputs(stage) / name).write_text(text)
    assert ad_cost.start("report") == (0, "")
    page = (ad_cost.outputs("report") / "report.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "<b>" not in page
    assert '<polyline fill="none" stroke="currentColor" points="0.0,80.0 720.0,0.0"/>' in page
