"""What senders say fits into a signal afterwards, and says what was cut."""

import pytest

from adapters.sources.fitting import TRUNCATED, Observation, identity
from adapters.sources.words import severity
from domain.signal import Signal, SignalKind
from tests.unit.adapters.sources.requests import ARRIVED


def fitted(**said) -> Signal:
    return Observation(source="x", kind=SignalKind.EVENT, ts=ARRIVED, identity="i", **said).signal()


@pytest.mark.parametrize(
    ("labels", "text", "kept", "mark"),
    [
        (64, "short", 64, None),
        (65, "short", 64, "labels"),
        (64, "x" * 65_537, 64, "labels, text"),
        (3, "x" * 65_537, 4, "text"),
    ],
)
def test_what_was_cut_is_marked(labels, text, kept, mark):
    """The mark takes the place of a label only where there is no room."""
    signal = fitted(labels={f"l{i}": "v" for i in range(labels)}, text=text)
    assert (len(signal.labels), signal.labels.get(TRUNCATED)) == (kept, mark)


def test_a_long_name_and_a_long_value_are_cut():
    """To 255 characters, wherever they stand."""
    signal = fitted(key="k" * 300, event_type="e" * 300, service="s" * 300, labels={"n" * 300: "v", "a": "v" * 300})
    assert {len(signal.key), len(signal.event_type), len(signal.service)} == {255}
    assert {name: len(value) for name, value in signal.labels.items()} == {"n" * 255: 1, "a": 255, TRUNCATED: 6}


def test_a_label_is_text():
    """Numbers and answers as JSON writes them; what says nothing is left out."""
    signal = fitted(labels={"a": 1, "b": True, "c": None, "d": "", "e": [1, "x"], "": "f", "g": 0.5})
    assert signal.labels == {"a": "1", "b": "true", "e": '[1,"x"]', "g": "0.5"}


def test_what_no_store_keeps_is_replaced():
    """NUL and halves of characters, in names, values, text and payload."""
    signal = fitted(text="a\x00b\ud800", labels={"n\x00": "\udfff"}, payload={"\x00": ["\ud800", {"a": "\x00"}]})
    assert "\x00" not in str(signal) + str(signal.payload)
    assert (signal.text, signal.labels) == ("a\ufffdb\ufffd", {"n\ufffd": "\ufffd"})


def test_a_payload_holds_what_json_can_hold():
    """An integer beyond 2^53 is text, an infinity is nothing, and what lies too deep is left out."""
    deep = {}
    for _ in range(50):
        deep = {"a": deep}
    signal = fitted(payload={"big": 2**60, "wide": [float("inf"), 1.5, True], "deep": deep})
    assert (signal.payload["big"], signal.payload["wide"]) == (str(2**60), [None, 1.5, True])
    assert str(signal.payload["deep"]).count("a") == 15


def test_an_identity_knows_no_order_of_keys():
    """But it knows values, and where one part ends."""
    assert identity({"a": 1, "b": [2]}) == identity({"b": [2], "a": 1})
    assert len({identity("a", "b"), identity("ab"), identity("a b"), identity("b", "a"), identity({"a": "b"})}) == 5


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("CRITICAL", "critical"),
        (" page ", "critical"),
        ("P2", "error"),
        ("Warn", "warning"),
        ("debug", "info"),
        ("x", None),
        (5, None),
    ],
)
def test_a_severity_is_one_of_four_words(word, meaning):
    """Or none, if nobody knows the word."""
    assert severity(word) == meaning


@pytest.mark.parametrize("name", ["service", "service.name", "job", "app", "deployment"])
def test_a_service_is_found_by_its_usual_names(name):
    """Unless the sender names it."""
    assert fitted(labels={name: "checkout"}).service == "checkout"
    assert fitted(labels={name: "checkout"}, service="other").service == "other"


@pytest.mark.parametrize("name", ["env", "environment", "deployment.environment", "deployment.environment.name"])
def test_an_environment_is_found_by_its_usual_names(name):
    """In labels only."""
    assert fitted(labels={name: "prod"}).environment == "prod"
