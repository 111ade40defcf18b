"""CloudEvents: three modes of one event, known by source and id."""

import pytest

from domain.signal import SignalKind
from tests.unit.adapters.sources.requests import case


def test_the_three_modes_say_the_same():
    """One event, sent in each way, is one event."""
    structured, binary, batch = (case(f"cloudevents/{name}").parse().signals[0] for name in ("structured", "binary", "batch"))
    assert structured.idempotency_key == binary.idempotency_key == batch.idempotency_key
    assert structured.text == binary.text == batch.text == "the card was declined"
    assert (structured.service, structured.environment, structured.severity) == ("orders", "prod", "error")


def test_a_header_is_decoded_from_percent():
    """A subject may hold any character."""
    (signal,) = case("cloudevents/binary").parse().signals
    assert signal.key == "Köln order/4711"


def test_a_header_that_is_not_utf8_is_refused():
    """The specification says so: nothing is guessed."""
    parsed = case("cloudevents/binary_invalid_utf8").parse()
    assert (parsed.signals, parsed.refused[0].reason) == ((), "an attribute in a header is not UTF-8")


def test_a_batch_is_taken_event_by_event():
    """An event without an id, and one of an older version, are refused."""
    parsed = case("cloudevents/batch").parse()
    assert [refused.index for refused in parsed.refused] == [1, 3]
    assert [signal.kind for signal in parsed.signals] == [SignalKind.EVENT, SignalKind.DEPLOY]


def test_a_batch_is_refused_where_nobody_agreed_to_batches():
    """The connector's configuration says `batch: false`."""
    given = case("cloudevents/batch_unwanted")
    assert given.parse().signals == ()
    assert len(given.source.parse(given.inbound(), {}).signals) == 1


def test_data_in_base64_is_text_where_it_is_text():
    """What is no base64 refuses its event."""
    given = case("cloudevents/base64")
    assert given.parse().signals[0].text == "queue is full"
    assert given.parse(body=given.body.replace(b'"cXVl', b'"%%%%')).signals == ()


def test_the_trace_is_kept():
    """The extension `traceparent` names it."""
    assert case("cloudevents/structured").parse().signals[0].trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        ("dev.cdevents.service.deployed.0.1.1", SignalKind.DEPLOY),
        ("dev.cdevents.pipelinerun.finished.0.2.0", SignalKind.EXECUTION),
        ("dev.cdevents.build.started.0.2.0", SignalKind.EXECUTION),
        ("com.example.order.failed", SignalKind.EVENT),
    ],
)
def test_the_type_tells_the_kind(event_type, kind):
    """Deployments and runs are told from the rest by their words."""
    body = case("cloudevents/structured").body.replace(b"com.example.order.failed", event_type.encode())
    assert case("cloudevents/structured").parse(body=body).signals[0].kind is kind
