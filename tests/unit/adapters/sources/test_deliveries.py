"""GitHub and GitLab: deployments and runs, each delivery known by the sender's own id."""

import pytest

from domain.signal import Signal, SignalKind
from tests.unit.adapters.sources.requests import case


def only(named: str, **changes) -> Signal:
    (signal,) = case(named).parse(**changes).signals
    return signal


@pytest.mark.parametrize(
    ("named", "event_type", "severity"),
    [
        ("github/deployment_succeeded", "deploy.succeeded", "info"),
        ("github/deployment_failed", "deploy.failed", "error"),
        ("github/deployment_waiting", "deploy.waiting", "info"),
        ("github/form", "deploy.failed", "error"),
        ("gitlab/deployment_failed", "deploy.failed", "error"),
        ("gitlab/deployment_running", "deploy.running", "info"),
    ],
)
def test_a_deployment_says_what_went_where(named, event_type, severity):
    """Service, environment and revision; its state in one word for all senders."""
    signal = only(named)
    assert (signal.kind, signal.event_type, signal.severity) == (SignalKind.DEPLOY, event_type, severity)
    assert (signal.service, signal.environment) == ("checkout", "production")
    assert signal.labels["sha"]


@pytest.mark.parametrize(
    ("state", "event_type"),
    [
        ("pending", "deploy.waiting"),
        ("queued", "deploy.waiting"),
        ("in_progress", "deploy.running"),
        ("error", "deploy.failed"),
        ("inactive", "deploy.other"),
        ("something new", "deploy.other"),
    ],
)
def test_every_state_of_a_deployment_has_a_word(state, event_type):
    """A state that nobody knows is one, too."""
    body = case("github/deployment_succeeded").body.replace(b'"success"', f'"{state}"'.encode())
    assert only("github/deployment_succeeded", body=body).event_type == event_type


@pytest.mark.parametrize(
    "named", ["github/workflow_run_failed", "github/workflow_job_failed", "gitlab/pipeline_failed", "gitlab/job_failed"]
)
def test_a_run_that_failed_is_an_execution(named):
    """Its key names the run."""
    signal = only(named)
    assert (signal.kind, signal.event_type, signal.severity) == (SignalKind.EXECUTION, "run.failed", "error")
    assert signal.key.startswith("shop/checkout/")


def test_what_failed_within_a_run_is_named():
    """Steps of a job, jobs of a pipeline."""
    assert only("github/workflow_job_failed").payload["failed_steps"] == ["Run tests"]
    assert only("gitlab/pipeline_failed").payload["failed_jobs"] == ["unit"]


@pytest.mark.parametrize("named", ["gitlab/deployment_failed", "gitlab/pipeline_failed", "gitlab/job_failed"])
def test_gitlabs_ways_to_write_a_time_are_read(named):
    """With a zone behind a space, and with UTC at the end."""
    assert only(named).ts.strftime("%H:%M") in ("10:01", "10:02")


def test_a_redelivery_is_a_duplicate():
    """The delivery's id stays; another delivery of the same content is another."""
    given = case("github/deployment_failed")
    other = given.index["headers"] | {"x-github-delivery": "another"}
    assert only("github/form").idempotency_key == only("github/deployment_failed").idempotency_key
    assert only("github/deployment_failed", headers=other).idempotency_key != only("github/form").idempotency_key


def test_an_id_that_events_share_is_not_enough():
    """An older GitLab gives events that cause one another one id: the content tells them apart."""
    given = case("gitlab/older")
    other = given.parse(body=given.body.replace(b'"failed"', b'"running"')).signals[0]
    assert other.idempotency_key != only("gitlab/older").idempotency_key


def test_a_gate_keeps_where_to_answer():
    """A deployment that waits for us says where."""
    signal = only("github/gate_requested")
    assert signal.event_type == "github.deployment_protection_rule.requested"
    assert signal.payload["deployment_callback_url"].endswith("/deployment_protection_rule")


def test_a_push_says_what_its_last_commit_says():
    """GitLab names the newest last; a push of none says nothing."""
    commits = b'"commits": [{"title": "Use the old gateway"}, {"title": "Use the new gateway"}]'
    body = case("gitlab/push").body.replace(b'"commits": []', commits)
    assert only("gitlab/push", body=body).text == "Use the new gateway"
    assert only("gitlab/push").text is None


def test_a_greeting_is_nothing_to_see():
    """Neither a signal nor a refusal."""
    parsed = case("github/ping").parse()
    assert (parsed.signals, parsed.refused) == ((), ())


def test_the_event_is_found_without_its_header():
    """What is in the body tells it, too."""
    assert only("github/workflow_run_failed", headers={}).event_type == "run.failed"


@pytest.mark.parametrize("named", ["github/push", "gitlab/push"])
def test_anything_else_is_an_event(named):
    """It may explain what happens next."""
    assert (only(named).kind, only(named).severity) == (SignalKind.EVENT, "info")
