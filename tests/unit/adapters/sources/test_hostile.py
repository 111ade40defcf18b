"""Whatever bytes come, every source answers, raises nothing, and makes no signal that a store would refuse."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sources import SOURCES
from adapters.sources.reading import read_each
from domain.canonical import canonical
from domain.inbound import Inbound, MappingFlaw, Parsed, Taken
from domain.signal import Signal
from services.ports import Source
from tests.unit.adapters.sources.requests import ARRIVED, CASES, SECRET, Case

ODD: list[Any] = [
    None, True, 0, -1, 2**63, 2**64, 10**30, 1e308, "", " ", "\x00", "\ud800", "a" * 70_000, [], {}, [[]], [None], {"": {}},
    "NaN", "1e999", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-20T10:00:00+99:99", "-5", "²", {"values": 3},
]  # fmt: skip
HOSTILE = {
    "empty": b"",
    "space": b" \n",
    "null": b"null",
    "a number": b"7",
    "a text": b'"x"',
    "a list": b"[]",
    "an object": b"{}",
    "not JSON": b"{'a': 1}",
    "a byte-order mark": b'\xef\xbb\xbf{"alerts": []}',
    "UTF-16": '{"alerts": []}'.encode("utf-16"),
    "not UTF-8": b'{"alerts": [{"labels": {"a": "\xff\xfe"}}]}',
    "NUL": b"\x00" * 64,
    "an escaped NUL": b'{"alerts": [{"labels": {"a\\u0000": "\\u0000"}}], "event_action": "trigger", "dedup_key": "\\u0000"}',
    "half a character": b'{"alerts": [{"labels": {"\\ud800": "\\udfff"}}], "event_action": "trigger", "dedup_key": "\\ud800"}',
    "NaN": b'{"alerts": [{"labels": {"a": NaN}, "values": {"B": Infinity}}], "payload": {"a": -Infinity}}',
    "beyond a float": b'{"alerts": [{"labels": {"a": 1e999}, "values": {"B": 1e999}}]}',
    "beyond 64 bits": b'{"alerts": [{"labels": {"a": 18446744073709551616}, "startsAt": 18446744073709551616}]}',
    "too many digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep within reason": b'{"alerts": [{"labels": {"a": ' + b"[" * 400 + b"]" * 400 + b"}}]}",
    "a name twice": b'{"alerts": [], "alerts": [{"labels": {"a": "1", "a": "2"}}]}',
    "a long line": json.dumps({"alerts": [{"labels": {"a": "x" * 2**20}, "annotations": {"summary": "y" * 2**20}}]}).encode(),
    "many labels": json.dumps({"alerts": [{"labels": {f"l{i}": "v" * 300 for i in range(500)}}]}).encode(),
    "protobuf of nothing": b"\x0a\x00",
    "protobuf of garbage": bytes(range(256)) * 4,
}
HEADERS = [
    {},
    {"content-type": "application/json"},
    {"content-type": "application/x-protobuf"},
    {"content-type": "application/cloudevents+json"},
    {"content-type": "application/cloudevents-batch+json"},
    {"content-type": "application/x-www-form-urlencoded"},
    {"content-type": "\x00", "ce-id": "%ff", "ce-source": "\ud800", "ce-type": "%00", "ce-specversion": "1.0"},
    {"x-github-event": "deployment_status", "x-github-delivery": "\ud800", "x-hub-signature-256": "sha256=\ud800"},
    {"x-gitlab-event": "x", "x-gitlab-token": "\ud800", "x-pagerduty-signature": "v1=,=,v1", "sentry-hook-timestamp": "9" * 99},
]


def check(source: Source, inbound: Inbound, config: dict[str, Any]) -> None:
    """Ask everything that a source can be asked."""
    assert isinstance(source.is_authentic(inbound, SECRET), bool)
    assert isinstance(source.address(inbound), str | None)
    assert isinstance(source.flaw(config), MappingFlaw | None)
    parsed = source.parse(inbound, config)
    assert all(isinstance(source.error_of(signal), dict | None) for signal in parsed.signals)
    assert isinstance(source.rest(inbound, "http://am:9093"), str | None)
    for answer in (b"", b"{}", b"[7, null]", b"\xff", inbound.body):
        assert isinstance(source.parse(source.with_rest(inbound, answer), config), Parsed)
    told = Taken(stored=len(parsed.signals), refused=len(parsed.refused), reason="why" if parsed.refused else None)
    assert source.reply(inbound, told).status in (200, 202, 400)
    for signal in parsed.signals:
        assert Signal.model_validate(signal.model_dump()) == signal
        assert b"\\u0000" not in canonical(signal).replace(b"\\\\", b"")
        assert signal.severity in (None, "critical", "error", "warning", "info")
        assert len(signal.idempotency_key or "") == 64
        assert 2000 <= signal.ts.year < 2100
    assert all(refused.reason and refused.index >= 0 for refused in parsed.refused)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_are_answered(source, name):
    """Under any headers, too."""
    for headers in HEADERS:
        check(source, Inbound(arrived=ARRIVED, headers=headers, body=HOSTILE[name]), {})


@pytest.mark.parametrize(
    "config", [{"items": 7}, {"fields": []}, {"fields": {"text": {}}}, {"labels": {"a": "$["}}, {"items": "$" * 600}]
)
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
def test_a_configuration_that_makes_no_sense_is_answered(source, config):
    """Whoever configures a connector may be wrong, too."""
    check(source, Inbound(arrived=ARRIVED, body=b'[{"labels": {"a": "b"}}]'), config)


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with bytes turned over, taken out, put in, or cut off."""
    content = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(["flip", "delete", "insert", "cut"])):
            case "flip" if content:
                content[at] ^= draw(st.integers(1, 255))
            case "delete":
                del content[at : at + draw(st.integers(1, 40))]
            case "insert":
                content[at:at] = draw(
                    st.sampled_from([b"\x00", b"\xff", b"{", b'"', b"\\u0000", b"\\ud800", b"1e999", b"NaN", b","])
                )
            case _:
                del content[at:]
    return bytes(content)


@st.composite
def swapped(draw: st.DrawFn, body: bytes) -> bytes:
    """The JSON with some of its nodes replaced by something else, or gone."""
    root = [json.loads(body)]
    for _ in range(draw(st.integers(1, 4))):
        holder, name = draw(st.sampled_from(places(root)))
        if draw(st.booleans()) or holder is root:
            holder[name] = deepcopy(draw(st.sampled_from(ODD)))
        else:
            del holder[name]
    return json.dumps(root[0]).encode()


def places(node: Any) -> list[tuple[Any, Any]]:
    """Where there is a node, and by what name."""
    names = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
    return [place for name in names for place in [(node, name), *places(node[name])]]


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_answered(case: Case, data):
    """Real requests whose bytes were turned over, lost or cut off."""
    check(case.source, case.inbound(body=data.draw(damaged(case.body))), case.index.get("config", {}))


@pytest.mark.parametrize("case", [each for each in CASES if each.body[:1] in (b"{", b"[")], ids=str)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_swapped_types_are_answered(case: Case, data):
    """Real requests in which a value has another type than anybody expects, or is missing."""
    check(case.source, case.inbound(body=data.draw(swapped(case.body))), case.index.get("config", {}))


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_swapped_headers_are_answered(case: Case, data):
    """Real bodies under headers that are missing or say something else."""
    names = st.sampled_from(sorted(case.index["headers"]))
    changes = data.draw(st.dictionaries(names, st.one_of(st.none(), st.text(), st.just("\ud800"))))
    headers = {name: value for name, value in (case.index["headers"] | changes).items() if value is not None}
    check(case.source, case.inbound(headers=headers), case.index.get("config", {}))


def test_an_item_that_does_not_fit_leaves_the_others():
    """Whatever a source overlooks is refused where the signal is made, not raised."""
    now = datetime(2026, 11, 20, tzinfo=UTC)
    parsed = read_each(lambda: [now, "no time", now], lambda ts: Signal(source="x", kind="log", ts=ts))
    assert ([signal.ts for signal in parsed.signals], [refused.index for refused in parsed.refused]) == ([now, now], [1])
    assert read_each(list, lambda item: None) == Parsed()
