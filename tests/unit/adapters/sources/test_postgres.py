"""What a database tells, as signals: rows that a trigger tells of, paths of a mapping, and any other word."""

import json
from datetime import timedelta

import pytest

from adapters.sources import FEEDS
from domain.inbound import Inbound
from tests.unit.adapters.sources.requests import ARRIVED

[POSTGRES] = FEEDS
ROW = {"id": 7, "status": "failed", "message": "no space", "service": "checkout", "updated_at": "2026-11-20T10:00:00+00:00"}


def change(kind="INSERT", **said):
    return {"schema": "public", "table": "jobs", "type": kind, "record": ROW, "old_record": None} | said


def parse(*payloads, is_known=False, arrived=ARRIVED, mapping=None):
    texts = (each if isinstance(each, str) else json.dumps(each) for each in payloads)
    body = [{"channel": "suture", "payload": each, "is_known_by_row": is_known} for each in texts]
    return POSTGRES.parse(Inbound(arrived=arrived, body=json.dumps(body).encode()), mapping or {})


def test_a_failed_row_fires():
    """Its id is what it is about, its message what it says."""
    [signal] = parse(change(commit_timestamp="2026-11-20T10:00:01Z")).signals
    assert (signal.event_type, signal.key, signal.severity) == ("row.firing", "public.jobs/7", "error")
    assert (signal.text, signal.service) == ("public.jobs/7 is failed: no space", "checkout")
    assert signal.ts.isoformat() == "2026-11-20T10:00:01+00:00"


@pytest.mark.parametrize(
    ("status", "kind", "event_type"),
    [
        ("succeeded", "UPDATE", "row.resolved"),
        ("resolved", "UPDATE", "row.resolved"),
        ("queued", "INSERT", "row.insert"),
        (None, "UPDATE", "row.update"),
    ],
)
def test_a_row_says_how_it_stands(status, kind, event_type):
    """By the words that senders have for it; without one it has changed."""
    [signal] = parse(change(kind, record=ROW | {"status": status})).signals
    assert signal.event_type == event_type


def test_a_deleted_row_neither_fires_nor_is_over():
    """Whatever its status was."""
    [signal] = parse(change("DELETE", record=None, old_record=ROW)).signals
    assert signal.event_type == "row.delete"


def test_a_row_is_known_again_whether_it_was_notified_or_read():
    """Nothing but the row counts: not the channel's order, not the hour."""
    [heard] = parse(change("UPDATE", commit_timestamp="2026-11-20T10:00:01Z", old_record={"id": 7}), is_known=True).signals
    [read] = parse(change(), is_known=True, arrived=ARRIVED + timedelta(hours=1)).signals
    assert heard.idempotency_key == read.idempotency_key


def test_what_is_notified_twice_has_happened_twice():
    """Where no column tells one change from another."""
    signals = parse(change(), change()).signals
    assert len({each.idempotency_key for each in signals}) == 2


def test_a_mapping_reads_each_payload():
    """As a generic connector does, under the identity of the notice."""
    mapping = {"fields": {"key": "$.record.id", "text": "$.record.message", "status": "$.record.status"}}
    [signal] = parse(change(record=ROW | {"status": "firing"}), mapping=mapping).signals
    assert (signal.source, signal.event_type, signal.key, signal.text) == ("postgres", "alert.firing", "7", "no space")


@pytest.mark.parametrize("word", ["nightly load is late", "7", "[1]", '{"table": 3}', "[" * 5_000])
def test_any_other_word_is_an_event(word):
    """It says what it says, and opens nothing."""
    [signal] = parse(word).signals
    assert (signal.event_type, signal.text, signal.key) == ("notification", word, "suture")


@pytest.mark.parametrize("payload", [change(record=None), change(record=[1]), " "])
def test_what_says_nothing_is_refused(payload):
    """With a reason, and alone: the notice beside it is taken."""
    parsed = parse(payload, change())
    assert len(parsed.signals) == 1
    assert [each.index for each in parsed.refused] == [0]


@pytest.mark.parametrize("body", [b"", b"\xff", b"[", b"[" * 100_000, b"{}", b"null", b'[{"channel": 1, "payload": 2}]'])
def test_whatever_is_tried_is_answered(body):
    """A payload alone is what a person tries; nothing raises."""
    parsed = POSTGRES.parse(Inbound(arrived=ARRIVED, body=body), {})
    assert len(parsed.signals) + len(parsed.refused) == 1


def test_nobody_sends_in_its_name():
    """It has no door: what it tells is read where it is."""
    assert not POSTGRES.is_authentic(Inbound(arrived=ARRIVED, headers={"authorization": "Bearer x"}), "x")
