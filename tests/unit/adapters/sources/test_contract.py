"""What every source keeps to, whoever sends: the contract of `services.ports.Source` over every fixture."""

import json
from datetime import timedelta

import pytest

from adapters.sources import SOURCES
from domain.inbound import Inbound
from tests.unit.adapters.sources.requests import ARRIVED, BY_KIND, CASES, FIXTURES, SECRET, Case, case, written

# Each of these is signed over its body: whoever changes a byte is found out.
SIGNED = [each for each in CASES if any("signature" in name for name in each.index["headers"])]
WHENEVER_SENT = ("pagerduty_events/acknowledge", "pagerduty_events/resolve")
"""PagerDuty's events without a time happen when they are sent: their keys alone keep a repetition from doing harm."""
SECRET_HEADERS = ("authorization", "x-gitlab-token")


def reversed_keys(value):
    match value:
        case dict():
            return {key: reversed_keys(value[key]) for key in reversed(value)}
        case list():
            return [reversed_keys(each) for each in value]
    return value


def test_every_kind_has_fixtures_and_every_fixture_a_kind():
    """Kinds are unique, and the folders of fixtures are the kinds."""
    assert len(BY_KIND) == len(SOURCES)
    assert {path.name for path in FIXTURES.iterdir() if path.is_dir()} == set(BY_KIND)


@pytest.mark.parametrize("given", CASES, ids=str)
def test_a_fixture_is_read_as_it_was_when_somebody_looked(given: Case):
    """The signals and refusals of each fixture are written beside it."""
    assert json.loads(written(given.parse())) == json.loads(given.expected.read_text())


@pytest.mark.parametrize("given", CASES, ids=str)
def test_a_request_that_is_repeated_repeats_its_identities(given: Case):
    """The same bytes, whenever they arrive, and with keys in whatever order, are the same signals."""
    again = [signal.idempotency_key for signal in given.parse().signals]
    if given.body[:1] in (b"{", b"[") and b"1e999" not in given.body:
        turned = json.dumps(reversed_keys(json.loads(given.body))).encode()
        assert [signal.idempotency_key for signal in given.parse(body=turned).signals] == again
    if str(given) not in WHENEVER_SENT:
        assert [signal.idempotency_key for signal in given.parse(arrived=ARRIVED + timedelta(seconds=20)).signals] == again


@pytest.mark.parametrize("given", CASES, ids=str)
def test_the_items_of_a_request_are_told_apart(given: Case):
    """No two signals of one request share an identity, and every signal has one."""
    keys = [signal.idempotency_key for signal in given.parse().signals]
    assert len(set(keys)) == len(keys)
    assert None not in keys


@pytest.mark.parametrize("given", CASES, ids=str)
def test_whoever_knows_the_secret_is_let_in_and_nobody_else(given: Case):
    """The fixture's own secret is right; another, none, and a connector without one are not."""
    inbound = given.inbound()
    assert given.source.is_authentic(inbound, SECRET)
    assert not any(given.source.is_authentic(inbound, wrong) for wrong in ("", "another", SECRET + " ", SECRET[:-1], "ü\ud800"))


@pytest.mark.parametrize("given", CASES, ids=str)
def test_a_request_without_its_proof_is_refused(given: Case):
    """Without headers, and without a body, nobody is authentic."""
    assert not given.source.is_authentic(given.inbound(headers={}, body=b""), SECRET)
    assert not given.source.is_authentic(Inbound(arrived=ARRIVED), "")


@pytest.mark.parametrize("given", SIGNED, ids=str)
def test_a_signed_body_that_was_changed_is_refused(given: Case):
    """One byte more or another one, and the signature is of something else."""
    changed = bytes([given.body[0] ^ 1]) + given.body[1:]
    assert not given.source.is_authentic(given.inbound(body=changed), SECRET)
    assert not given.source.is_authentic(given.inbound(body=given.body + b" "), SECRET)


@pytest.mark.parametrize("name", ["alertmanager", "grafana", "cloudevents", "otlp_logs", "datadog", "openlineage", "generic"])
@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic", "Basic %%%", "Basic bm8gY29sb24=", "Digest x", "\ud800", "ü"]
)
def test_an_authorization_that_makes_no_sense_is_none(name, value):
    """Whatever stands in the header, the answer is no and not an error."""
    assert not BY_KIND[name].is_authentic(Inbound(arrived=ARRIVED, headers={"authorization": value}), SECRET)


def test_a_refusal_repeats_nothing_of_what_was_sent():
    """A reason is a sentence of ours: what was sent may be a secret."""
    reasons = [refused.reason for each in CASES for refused in each.parse().refused]
    assert reasons
    assert not [reason for reason in reasons if "psp.example" in reason or "escalate" in reason or "0.3" in reason]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
@pytest.mark.parametrize("secret_header", SECRET_HEADERS)
def test_a_signal_keeps_no_header_of_the_request(source, secret_header):
    """The proof that comes with a request is no part of what it holds."""
    found = [signal for each in CASES if each.kind == source.kind for signal in each.parse().signals]
    assert secret_header not in "".join(signal.model_dump_json() for signal in found)
    assert SECRET not in "".join(signal.model_dump_json() for signal in found)


def test_a_timed_signature_of_yesterday_is_refused():
    """Whoever recorded a request cannot send it again a day later."""
    given = case("grafana/signed_with_time")
    assert not given.source.is_authentic(given.inbound(arrived=ARRIVED + timedelta(days=1)), SECRET)
    undated = given.inbound(headers=given.index["headers"] | {"x-grafana-alerting-timestamp": "yesterday"})
    assert not given.source.is_authentic(undated, SECRET)
