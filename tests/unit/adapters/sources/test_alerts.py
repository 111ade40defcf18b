"""Alertmanager's webhook, its API and Grafana: each alert on its own, known again, told apart from its end."""

import json
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.sources.fitting import TRUNCATED
from domain.signal import Signal, SignalKind
from tests.unit.adapters.sources.requests import ARRIVED, case


def only(named: str, **changes) -> Signal:
    (signal,) = case(named).parse(**changes).signals
    return signal


def test_an_alert_says_what_where_since_when_and_how_bad():
    """Service and environment come from its labels, the text from its annotations."""
    signal = only("alertmanager/firing")
    assert (signal.kind, signal.event_type, signal.severity) == (SignalKind.EVENT, "alert.firing", "critical")
    assert (signal.service, signal.environment, signal.key) == ("checkout", "prod", "b0c1d2e3f4a59687")
    assert signal.ts == datetime(2026, 11, 20, 9, 58, 12, 345000, tzinfo=UTC)
    assert signal.text.startswith("5 % of the requests to checkout fail\n")


def test_the_year_0001_is_no_end():
    """An alert that has not ended carries that year; it is not in the signal."""
    assert "endsAt" not in only("alertmanager/firing").payload
    assert "endsAt" not in only("grafana/firing").payload


def test_the_state_is_the_alerts_and_not_the_groups():
    """A group that fires may hold an alert that has ended."""
    signals = case("alertmanager/firing_and_resolved").parse().signals
    assert [signal.event_type for signal in signals] == ["alert.firing", "alert.resolved"]


@pytest.mark.parametrize("kind", ["alertmanager", "alertmanager_api", "grafana"])
def test_an_end_is_about_the_same_and_is_no_repetition(kind):
    """Beginning and end share the key; their identities differ."""
    begins, ends = only(f"{kind}/firing"), only(f"{kind}/resolved")
    assert (begins.key, ends.event_type) == (ends.key, "alert.resolved")
    assert begins.idempotency_key != ends.idempotency_key
    assert ends.ts > begins.ts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alertmanager/firing", "alertmanager/newer_fields"),
        ("alertmanager/firing", "alertmanager/truncated"),
        ("alertmanager_api/firing", "alertmanager_api/sent_again"),
        ("grafana/firing", "grafana/signed_with_time"),
        ("grafana/firing", "grafana/relative_link"),
    ],
)
def test_an_alert_that_is_repeated_is_a_duplicate(one, other):
    """Whatever else changes between two deliveries: fingerprint, beginning and state are its identity."""
    assert only(one).idempotency_key == only(other).idempotency_key


def test_an_alert_that_fires_anew_is_no_duplicate():
    """The same labels with another beginning are another alert about the same."""
    body = case("alertmanager/firing").body
    again = only("alertmanager/firing", body=body.replace(b"T09:58:12.345Z", b"T10:01:12.345Z"))
    assert again.key == only("alertmanager/firing").key
    assert again.idempotency_key != only("alertmanager/firing").idempotency_key


def test_a_pushed_alert_is_what_its_labels_are():
    """The order of labels counts for nothing, their values do."""
    body = b'[{"labels": {"alertname": "A", "job": "b"}}, {"labels": {"job": "b", "alertname": "A"}}, {"labels": {"job": "c"}}]'
    first, second, third = case("alertmanager_api/firing").parse(body=body).signals
    assert first.key == second.key != third.key


def test_a_pushed_alert_without_times_is_known_for_a_minute():
    """Sent again at once it is a duplicate; the next day it is not."""
    body = case("alertmanager_api/labels_alone").body
    at_once = only("alertmanager_api/labels_alone", body=body, arrived=ARRIVED.replace(second=30))
    next_day = only("alertmanager_api/labels_alone", body=body, arrived=ARRIVED.replace(day=21))
    assert at_once.idempotency_key == only("alertmanager_api/labels_alone").idempotency_key != next_day.idempotency_key


def test_the_same_fingerprint_in_two_organisations_is_two_alerts():
    """Grafana counts fingerprints within each of its organisations."""
    assert only("grafana/firing").key != only("grafana/other_org").key


def test_a_relative_link_is_resolved_against_where_grafana_lives():
    """A link that nobody can follow is none."""
    assert only("grafana/relative_link").payload["generatorURL"] == only("grafana/firing").payload["generatorURL"]
    broken = case("grafana/relative_link").body.replace(b"https://grafana.example/", b"http://[")
    assert only("grafana/relative_link", body=broken).payload["generatorURL"].startswith("/alerting")


def test_a_rule_with_one_value_has_it():
    """Of two values neither is the signal's; both stay in the payload."""
    assert (only("grafana/firing").value, only("grafana/two_values").value) == (913.5, None)
    assert only("grafana/two_values").payload["values"] == {"A": 12, "B": 913.5}


def test_alerts_that_the_sender_left_out_are_counted():
    """The payload says how many, and the group key keeps its quotes."""
    payload = only("alertmanager/truncated").payload
    assert payload["truncatedAlerts"] == 3
    assert '"HighErrorRate"' in payload["groupKey"]


def test_five_hundred_labels_are_cut_and_marked():
    """Service, environment and severity are read before anything is cut."""
    signal = only("alertmanager/five_hundred_labels")
    assert (len(signal.labels), signal.labels[TRUNCATED]) == (64, "labels, values")
    assert (signal.service, signal.environment, signal.severity) == ("checkout", "prod", "critical")


def test_one_bad_alert_leaves_the_others():
    """Each is refused under its own number."""
    parsed = case("alertmanager/half_broken").parse()
    assert [refused.index for refused in parsed.refused] == [1, 2, 3, 4]
    assert [signal.text.partition("\n")[0] for signal in parsed.signals] == ["5 % of the requests to checkout fail", "Watchdog"]


def test_a_sender_whose_clock_is_wrong_keeps_its_own_time():
    """Ours is written beside it when the signal is stored; years that no clock shows are replaced by it."""
    body = case("alertmanager/firing").body
    ahead = only("alertmanager/firing", body=body.replace(b"2026-11-20T09:58", b"2026-11-21T09:58"))
    absurd = only("alertmanager/firing", body=body.replace(b"2026-11-20T09:58", b"9026-11-20T09:58"))
    assert (ahead.ts.day, absurd.ts) == (21, ARRIVED)


def test_what_was_left_out_is_asked_for_by_its_group():
    """The receiver and the labels that the group is made by, however odd their values are; a trailing slash is none of it."""
    given = case("alertmanager/truncated")
    group = json.loads(given.body) | {"receiver": "team-a/b", "groupLabels": {"alertname": 'a "b"\\c', "not a name": "x"}}
    asked = urlsplit(given.source.rest(given.inbound(body=json.dumps(group).encode()), "http://am:9093/prefix/"))
    assert (asked.netloc, asked.path) == ("am:9093", "/prefix/api/v2/alerts")
    said = parse_qs(asked.query)
    assert (said["filter"], said["active"], said["silenced"]) == (['alertname="a \\"b\\"\\\\c"'], ["true"], ["false"])
    assert re.fullmatch(said["receiver"][0], "team-a/b")


def test_an_alert_is_the_same_in_a_webhook_and_in_the_api():
    """The API tells the beginning to the millisecond, and the state in words of its own."""
    given = case("alertmanager/firing")
    body = given.body.replace(b"T09:58:12.345Z", b"T09:58:12.345678901Z")
    (alert,) = json.loads(given.body)["alerts"]
    shown = alert | {"status": {"state": "active"}, "endsAt": "2026-11-20T10:15:00.000Z", "receivers": [{"name": "suture"}]}
    again = given.source.with_rest(given.inbound(body=body), json.dumps([shown]).encode())
    assert (
        only("alertmanager/firing", body=again.body).idempotency_key == only("alertmanager/firing", body=body).idempotency_key
    )
