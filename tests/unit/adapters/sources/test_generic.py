"""Any JSON by the connector's own mapping, and the paths that it is written in."""

import pytest

from adapters.sources.jsonpath import Effort, PathError, values
from domain.signal import SignalKind
from tests.unit.adapters.sources.requests import ARRIVED, case

DOCUMENT = {"a": {"b": [{"c": 1}, {"c": 2}], "d e": "x", "f-g": True}, "list": [[1, 2], [3]]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [DOCUMENT]),
        ("$.a.b[0].c", [1]),
        ("$.a.b[-1].c", [2]),
        ("$.a.b[*].c", [1, 2]),
        ("$['a']['d e']", ["x"]),
        ('$["a"]["f-g"]', [True]),
        ("$.a.f-g", [True]),
        ("$.list[*][*]", [1, 2, 3]),
        ("$.list.*", [[1, 2], [3]]),
        ("$.a.b[7].c", []),
        ("$.a.b.c", []),
        ("$.a[0]", []),
        ("$.nothing.at.all", []),
        ("$[ 'a' ].b[ 0 ].c", [1]),
    ],
)
def test_a_path_finds_what_it_names(path, found):
    """A path that leads nowhere finds nothing."""
    assert values(DOCUMENT, path, Effort()) == found


@pytest.mark.parametrize(
    "path", ["", "a.b", "$..a", "$.", "$[", "$[a]", "$[?(@.x)]", "$[0:2]", "$.a b", "$['a]", "$." + "a" * 600]
)
def test_what_is_no_such_path_is_refused(path):
    """Filters, slices and descents are no part of it."""
    with pytest.raises(PathError):
        values(DOCUMENT, path, Effort())


def test_a_path_cannot_multiply_without_end():
    """Ten thousand results are the most, however wide the document."""
    wide = [[[0] * 100] * 100] * 100
    assert len(values(wide, "$[*][*][*]", Effort())) == 10_000


def test_items_are_mapped_field_by_field():
    """Paths, constant words, and translated words."""
    opened, closed, empty = case("generic/mapped").parse().signals
    assert (opened.event_type, closed.event_type, empty.event_type) == ("alert.firing", "alert.resolved", None)
    assert (opened.key, opened.severity, opened.value) == ("latency", "critical", 913.5)
    assert (opened.text, opened.service, opened.environment) == ("p95 is 913 ms", "checkout", "prod")
    assert opened.labels == {"region": "eu-1", "team": "shop"}


def test_an_item_with_an_id_is_known_by_it():
    """Whatever else changes."""
    given = case("generic/mapped")
    again = given.parse(body=given.body.replace(b"913.5", b"914.5")).signals[0]
    assert again.idempotency_key == given.parse().signals[0].idempotency_key


def test_without_a_mapping_the_body_is_an_event():
    """Nothing of it is lost."""
    (signal,) = case("generic/unmapped").parse().signals
    assert (signal.kind, signal.ts, signal.payload) == (SignalKind.EVENT, ARRIVED, {"item": {"hello": "world"}})


def test_a_path_that_cannot_be_read_is_named_by_its_place():
    """Whoever wrote the mapping is told where to look."""
    (refused,) = case("generic/broken_mapping").parse().refused
    assert "fields.text" in refused.reason


@pytest.mark.parametrize(("word", "kind"), [("deploy", SignalKind.DEPLOY), ("$.kind", SignalKind.LOG), ("x", SignalKind.EVENT)])
def test_the_kind_is_a_field_too(word, kind):
    """A word that is no kind means event."""
    given = case("generic/unmapped")
    parsed = given.source.parse(given.inbound(body=b'{"kind": "LOG"}'), {"fields": {"kind": word}})
    assert parsed.signals[0].kind is kind


def test_an_alert_that_fires_again_is_no_repetition():
    """It opens, is closed and opens later under one id: three signals, and one of them sent again is a duplicate."""
    given = case("generic/check")
    opened = given.parse().signals[0]
    closed = given.parse(body=given.body.replace(b'"open"', b'"closed"')).signals[0]
    again = given.parse(body=given.body.replace(b"10:03:20", b"10:04:20")).signals[0]
    assert len({opened.idempotency_key, closed.idempotency_key, again.idempotency_key}) == 3
    assert given.parse(arrived=ARRIVED.replace(day=21)).signals[0].idempotency_key == opened.idempotency_key


def test_a_status_that_means_neither_tells_items_apart():
    """An id that goes from one word of the sender's to another has said two things."""
    given = case("generic/check")
    one, other = (given.parse(body=given.body.replace(b'"open"', word)).signals[0] for word in (b'"degraded"', b'"slow"'))
    assert one.idempotency_key != other.idempotency_key
