"""OTLP: JSON and protobuf say the same; records, points and spans become signals."""

import json

import pytest
from google.protobuf.json_format import Parse
from google.rpc.status_pb2 import Status

from adapters.sources.fitting import TRUNCATED
from domain.inbound import Inbound, Parsed, Taken
from domain.signal import SignalKind
from tests.unit.adapters.sources.requests import ARRIVED, BY_KIND, case


@pytest.mark.parametrize(
    ("in_json", "in_protobuf"),
    [
        ("otlp_logs/records", "otlp_logs/records_protobuf"),
        ("otlp_metrics/points", "otlp_metrics/points_protobuf"),
        ("otlp_traces/spans", "otlp_traces/spans_protobuf"),
    ],
)
def test_both_encodings_are_the_same_signals(in_json, in_protobuf):
    """Integers of 64 bits as text, ids in hexadecimal: the values and the identities are equal."""
    assert case(in_json).parse().signals == case(in_protobuf).parse().signals


@pytest.mark.parametrize("name", ["cut_off", "invalid_utf8"])
def test_protobuf_that_is_broken_is_refused_whole(name):
    """Nothing before the break is guessed at."""
    parsed = case(f"otlp_logs/{name}").parse()
    assert (parsed.signals, len(parsed.refused)) == ((), 1)


def test_a_record_keeps_its_severity_its_trace_and_its_times():
    """17 is an error, 21 is critical; a time of 0 is the time of observation."""
    first, second, third, _, last = case("otlp_logs/records").parse().signals
    assert [signal.severity for signal in (first, second, third, last)] == ["error", "info", "warning", "critical"]
    assert (first.trace_id, third.trace_id) == ("5b8efff798038103d269b633813fc60c", None)
    assert first.labels["span_id"] == "eee19b7ec3c1b174"
    assert second.ts.isoformat() == "2026-11-20T10:03:20.300000+00:00"
    assert (first.service, first.environment, first.kind) == ("checkout", "prod", SignalKind.LOG)


def test_two_equal_lines_are_two_signals():
    """Equal down to the nanosecond, they are counted; sent again, both are known."""
    _, _, third, fourth, _ = case("otlp_logs/records").parse().signals
    assert third.idempotency_key != fourth.idempotency_key
    assert case("otlp_logs/records").parse().signals[3].idempotency_key == fourth.idempotency_key


def test_an_attribute_that_is_too_long_for_a_label_stays_whole():
    """The label is cut and says so; the payload has the stack trace."""
    signal = case("otlp_logs/records").parse().signals[0]
    assert signal.labels[TRUNCATED] == "values"
    assert signal.payload["attributes"]["exception.stacktrace"].endswith("TimeoutError: timed out")


def test_a_line_of_a_megabyte_is_cut_and_marked():
    """The text is as long as a text may be."""
    (signal,) = logs([{"body": {"stringValue": "x" * 2**20}}]).signals
    assert (len(signal.text), signal.labels[TRUNCATED]) == (65_536, "text")


def test_a_structured_body_is_written_as_json():
    """Its integers stay exact."""
    assert '"order":9007199254740993' in case("otlp_logs/records").parse().signals[1].text


def test_what_cannot_be_read_is_left_out():
    """Unknown fields pass, wrong types say nothing, what is no record is refused."""
    parsed = case("otlp_logs/half_broken").parse()
    assert [refused.index for refused in parsed.refused] == [1]
    assert [signal.severity for signal in parsed.signals] == ["error", "error", None]
    assert parsed.signals[0].ts == ARRIVED


def test_a_service_that_nobody_named_has_no_name():
    """`unknown_service` is what a program says that was told none."""
    body = case("otlp_logs/records").body.replace(b'"checkout"', b'"unknown_service:python"')
    assert case("otlp_logs/records").parse(body=body).signals[0].service is None


def test_points_are_metrics_by_name():
    """A gauge and a sum are their value; a histogram and a summary are their mean, the rest is payload."""
    signals = case("otlp_metrics/points").parse().signals
    assert [(signal.key, signal.value) for signal in signals] == [
        ("process.memory.usage", 734003200.0),
        ("process.memory.usage", None),
        ("http.server.requests", 1234.0),
        ("http.server.request.duration", 0.25),
        ("queue.wait", 1.5),
        ("gc.pause", 0.02),
    ]
    assert {signal.kind for signal in signals} == {SignalKind.METRIC}
    assert signals[2].payload["temporality"] == "cumulative"
    assert signals[3].payload["bucketCounts"] == [1, 2, 1]


def test_a_number_that_is_not_finite_is_refused():
    """NaN, 1e999, and a point of a metric without a name: each on its own."""
    parsed = case("otlp_metrics/not_finite").parse()
    assert (parsed.signals, [refused.index for refused in parsed.refused]) == ((), [0, 1, 2])


def test_a_span_that_failed_is_an_event_with_its_error():
    """Every other span is a point of the metric of its name: how many seconds it took."""
    failed, fine = case("otlp_traces/spans").parse().signals
    assert (failed.kind, failed.event_type, failed.severity, failed.value) == (SignalKind.EVENT, "span.error", "error", 3.0)
    assert (failed.text, failed.key) == ("TimeoutError: timed out", "POST /pay")
    assert "Traceback" in failed.payload["exception.stacktrace"]
    assert (fine.kind, fine.event_type, fine.key, fine.value) == (SignalKind.METRIC, "span.duration", "checkout", 3.25)


def test_a_span_without_its_ids_is_refused():
    """It has no identity, and nobody finds it again."""
    assert [refused.index for refused in case("otlp_traces/spans").parse().refused] == [2]


def test_without_a_content_type_a_brace_tells_json():
    """Some senders forget to say."""
    headers = {"authorization": "Bearer x"}
    assert len(case("otlp_logs/records").parse(headers=headers).signals) == 5
    assert len(case("otlp_logs/records_protobuf").parse(headers=headers).signals) == 5


@pytest.mark.parametrize(
    "value", [{"arrayValue": {}}, {"kvlistValue": {"values": [{}]}}, {"intValue": "x"}, {"intValue": 2**70}, 7]
)
def test_an_attribute_without_a_value_is_none(value):
    """Odd values of attributes are answered."""
    (signal,) = logs([{"body": {"stringValue": "x"}, "attributes": [{"key": "odd", "value": value}]}]).signals
    assert signal.text == "x"


def test_a_body_that_is_nested_too_deeply_is_cut():
    """What lies deeper than anybody reads is left out."""
    value = {"stringValue": "deep"}
    for _ in range(100):
        value = {"arrayValue": {"values": [value]}}
    assert "deep" not in logs([{"body": value}]).signals[0].text


@pytest.mark.parametrize("kind", ["otlp_logs", "otlp_metrics", "otlp_traces"])
@pytest.mark.parametrize(
    ("media", "body"),
    [("application/json", b"{"), ("application/json; charset=utf-8", b"[]"), ("application/x-protobuf", b"\x0a\xff")],
)
def test_a_request_that_cannot_be_read_is_400_in_its_own_form(kind, media, body):
    """The body is a Status, as the protocol wants it; an exporter does not send it again."""
    source = BY_KIND[kind]
    inbound = Inbound(arrived=ARRIVED, headers={"content-type": media}, body=body)
    (refused,) = source.parse(inbound, {}).refused
    reply = source.reply(inbound, Taken(refused=1, reason=refused.reason))
    said = Parse(reply.body, Status()) if "json" in media else Status.FromString(reply.body)
    assert (reply.status, reply.media) == (400, media.partition(";")[0])
    assert (said.code, said.message) == (3, refused.reason)


def test_one_record_that_is_refused_is_no_request_that_cannot_be_read():
    """It is a partial success of none."""
    inbound = case("otlp_logs/records").inbound(body=b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [7]}]}]}')
    reply = BY_KIND["otlp_logs"].reply(inbound, Taken(refused=1, reason="expected a JSON object"))
    assert (reply.status, json.loads(reply.body)["partialSuccess"]["rejectedLogRecords"]) == (200, "1")


def logs(records: list) -> Parsed:
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    return case("otlp_logs/records").parse(body=json.dumps(body).encode())
