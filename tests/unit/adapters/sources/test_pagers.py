"""PagerDuty, Sentry and Datadog: an alert and its end are about the same, however differently they come."""

from datetime import timedelta

import pytest

from domain.signal import Signal, SignalKind
from tests.unit.adapters.sources.requests import ARRIVED, SECRET, case


def only(named: str, **changes) -> Signal:
    (signal,) = case(named).parse(**changes).signals
    return signal


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("pagerduty_events/trigger", "pagerduty_events/resolve"),
        ("pagerduty_webhooks/triggered", "pagerduty_webhooks/resolved"),
        ("sentry/event_alert", "sentry/issue_resolved"),
        ("sentry/metric_alert_critical", "sentry/metric_alert_resolved"),
        ("datadog/triggered", "datadog/recovered"),
        ("datadog/shipped_template", "datadog/shipped_template_recovered"),
    ],
)
def test_an_end_is_about_the_same_and_is_no_repetition(begins, ends):
    """The keys are equal, the identities are not; Sentry's end even comes under another resource."""
    begun, ended = only(begins), only(ends)
    assert (begun.event_type, ended.event_type) == ("alert.firing", "alert.resolved")
    assert begun.key == ended.key != ""
    assert begun.idempotency_key != ended.idempotency_key


@pytest.mark.parametrize(
    ("named", "severity", "service", "environment"),
    [
        ("pagerduty_events/trigger", "critical", "postgres", "prod"),
        ("pagerduty_webhooks/triggered", "critical", "datapipe", None),
        ("sentry/event_alert", "error", "checkout", "prod"),
        ("sentry/metric_alert_critical", "critical", "checkout", "prod"),
        ("datadog/triggered", "error", "postgres", "prod"),
        ("datadog/warn", "warning", "postgres", "prod"),
        ("datadog/no_tags", "error", None, None),
    ],
)
def test_an_alert_says_how_bad_and_where(named, severity, service, environment):
    """Each sender's words are translated."""
    signal = only(named)
    assert (signal.severity, signal.service, signal.environment) == (severity, service, environment)


def test_the_routing_key_is_the_secret():
    """It stands in the body, and is no part of the signal."""
    given = case("pagerduty_events/trigger")
    other = given.body.replace(SECRET.encode(), b"another")
    assert not given.source.is_authentic(given.inbound(body=other), SECRET)
    assert SECRET not in only("pagerduty_events/trigger").model_dump_json()


def test_a_trigger_that_follows_upon_a_resolve_is_no_repetition():
    """Trigger, resolve and trigger within a minute are three signals about one thing, though none says when it was."""
    body = case("pagerduty_events/resolve").body
    sent = [
        only("pagerduty_events/resolve", body=body.replace(b'"resolve"', action), arrived=ARRIVED + timedelta(seconds=number))
        for number, action in enumerate((b'"trigger"', b'"resolve"', b'"trigger"'))
    ]
    assert len({signal.idempotency_key for signal in sent}) == 3
    assert len({signal.key for signal in sent}) == 1


def test_an_event_with_a_time_is_known_by_it():
    """Sent again, even a day later, it is a duplicate."""
    later = only("pagerduty_events/trigger", arrived=ARRIVED + timedelta(days=1))
    assert later.idempotency_key == only("pagerduty_events/trigger").idempotency_key


def test_an_event_without_a_key_is_about_its_content():
    """The same content has the same key."""
    assert (
        only("pagerduty_events/no_dedup_key").key == only("pagerduty_events/no_dedup_key", arrived=ARRIVED + timedelta(1)).key
    )


def test_acknowledging_is_neither_beginning_nor_end():
    """It says that somebody looks."""
    assert only("pagerduty_events/acknowledge").event_type == "alert.acknowledged"


def test_a_change_is_a_deployment():
    """Nothing is wrong yet."""
    signal = only("pagerduty_events/change")
    assert (signal.kind, signal.event_type, signal.service) == (SignalKind.DEPLOY, "deploy.succeeded", "checkout")


def test_an_action_that_does_not_exist_is_refused():
    """Nobody guesses what it means."""
    assert len(case("pagerduty_events/unknown_action").parse().refused) == 1


def test_one_good_signature_of_many_is_enough():
    """While a secret is rotated there are two; versions that nobody knows are passed over."""
    given = case("pagerduty_webhooks/two_secrets")
    unknown = given.index["headers"]["x-pagerduty-signature"].replace("v1=", "v2=")
    assert given.source.is_authentic(given.inbound(), SECRET)
    assert not given.source.is_authentic(given.inbound(headers={"x-pagerduty-signature": unknown}), SECRET)


def test_a_test_of_the_address_is_nothing_to_see():
    """Neither a signal nor a refusal."""
    parsed = case("pagerduty_webhooks/ping").parse()
    assert (parsed.signals, parsed.refused) == ((), ())


@pytest.mark.parametrize("named", ["pagerduty_webhooks/annotated", "sentry/issue_assigned", "sentry/installation"])
def test_what_is_no_state_is_an_event(named):
    """It neither opens nor closes anything."""
    signal = only(named)
    assert (signal.kind, signal.severity) == (SignalKind.EVENT, "info")
    assert not signal.event_type.startswith("alert.")


def test_sentrys_issue_alert_has_its_error_and_its_place():
    """The last frame is where it happened."""
    signal = only("sentry/event_alert")
    assert (signal.text, signal.payload["frames"][-1]) == ("TimeoutError: timed out", "shop/checkout.py pay 88")
    assert signal.labels["server_name"] == "node-1"


def test_a_renotification_of_datadog_is_a_duplicate():
    """The cycle from trigger to recovery is one alert; a warning that grows worse is another signal of it."""
    assert only("datadog/triggered").idempotency_key == only("datadog/triggered_again").idempotency_key
    assert only("datadog/warn").idempotency_key != only("datadog/triggered").idempotency_key
    assert only("datadog/warn").key == only("datadog/triggered").key


@pytest.mark.parametrize("tags", [b'"env:prod"', b'["env:prod", 7]', b'"env:prod,,:x,monitor"'])
def test_tags_are_a_text_or_a_list(tags):
    """Or missing, or anything else."""
    body = b'{"alert_id": "1", "alert_transition": "Triggered", "tags": ' + tags + b"}"
    assert only("datadog/triggered", body=body).environment == "prod"
