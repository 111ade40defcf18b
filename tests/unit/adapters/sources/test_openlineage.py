"""OpenLineage: a run, its state, its error, and the tree it stands in."""

import pytest

from domain.signal import SignalKind
from tests.unit.adapters.sources.requests import ARRIVED, case


@pytest.mark.parametrize(
    ("name", "event_type", "severity"),
    [
        ("start", "run.started", "info"),
        ("complete", "run.succeeded", "info"),
        ("fail", "run.failed", "error"),
        ("abort", "run.aborted", "warning"),
    ],
)
def test_a_run_has_one_key_from_beginning_to_end(name, event_type, severity):
    """What begins and never ends is found by it."""
    (signal,) = case(f"openlineage/{name}").parse().signals
    assert (signal.kind, signal.event_type, signal.severity) == (SignalKind.EXECUTION, event_type, severity)
    assert signal.key == "0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"


def test_a_run_belongs_to_the_run_at_the_root():
    """The service is the pipeline, the correlation its run."""
    (signal,) = case("openlineage/fail").parse().signals
    assert (signal.service, signal.correlation_id) == ("orders_daily", "0197a1b2-0000-7e4f-8a5b-6c7d8e9f0a1b")
    assert (signal.labels["job_name"], signal.labels["parent_job"]) == ("orders_daily.load", "orders_daily")


def test_a_failure_says_why():
    """The message is the text, the stack trace stays whole."""
    (signal,) = case("openlineage/fail").parse().signals
    assert signal.text == 'relation "orders" does not exist'
    assert signal.payload["stack_trace"].count("\n") == 2


def test_a_description_is_no_run():
    """A dataset that is described is an event."""
    (signal,) = case("openlineage/dataset").parse().signals
    assert (signal.kind, signal.event_type) == (SignalKind.EVENT, "lineage.dataset")


def test_an_event_that_lacks_almost_everything_is_taken():
    """A run's id is enough; its time is that of its arrival."""
    parsed = case("openlineage/batch").parse()
    assert [refused.index for refused in parsed.refused] == [1]
    assert (parsed.signals[1].event_type, parsed.signals[1].ts) == ("run.failed", ARRIVED)
