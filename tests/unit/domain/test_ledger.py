"""No past entry of a ledger can change, go or come unnoticed."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.base import OrgId
from domain.canonical import canonical
from domain.checkpoint import Checkpoint
from domain.errors import InvalidError
from domain.ledger import GENESIS, ActorType, Chain, Entry, Reason, Record, link, verify
from domain.ledger_pack import origin_of, pack, verify_pack
from domain.merkle import root

ORG, OTHER = OrgId(int=1), OrgId(int=2)
AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def a_record(seq: int = 1, *, org: OrgId = ORG, action: str = "plan.approved") -> Record:
    return Record(
        org_id=org, seq=seq, at=AT + timedelta(seconds=seq), actor_type=ActorType.PERSON, actor_id="prn_1", action=action,
        resource_type="plan", resource_id=f"plan_{seq} \"ü\"\n", trace_id="t" * 32, after_digest="a" * 64,
    )  # fmt: skip


def a_ledger(size: int, *, org: OrgId = ORG, since: list[Entry] | None = None, action: str = "plan.approved") -> list[Entry]:
    entries = list(since or [])
    while len(entries) < size:
        record = a_record(len(entries) + 1, org=org, action=action)
        entries.append(link(entries[-1] if entries else None, record))
    return entries


def signed(entries: list[Entry]) -> Checkpoint:
    hashes = [entry.hash for entry in entries]
    return Checkpoint(origin=origin_of(entries[-1].org), size=len(entries), root=root(hashes), head=hashes[-1])


def forged(entry: Entry, **changes: object) -> Entry:
    return Entry.model_validate(entry.model_dump() | changes)


LEDGER = a_ledger(12)
LINES = list(pack(LEDGER))
SIGNED = signed(LEDGER)
PLACES = st.integers(0, len(LEDGER) - 1)


def test_a_whole_ledger_verifies():
    """Every prefix of a chain is whole, and so is its continuation from any entry."""
    assert LEDGER[0].previous == GENESIS
    for cut in range(len(LEDGER)):
        assert verify(LEDGER[:cut]).is_whole
        found = verify(LEDGER[cut:], after=LEDGER[cut - 1] if cut else None)
        assert (found.fault, found.size, found.head) == (None, len(LEDGER), LEDGER[-1].hash)


def test_a_whole_export_verifies():
    """The result says how far checkpoints confirm it."""
    assert verify_pack(LINES).signed == 0
    found = verify_pack(LINES, [SIGNED, signed(LEDGER[:5])])
    assert (found.fault, found.size, found.signed) == (None, 12, 12)
    assert verify_pack(LINES, [signed(LEDGER[:5])]).signed == 5
    assert verify_pack([]).is_whole


def test_an_entry_keeps_its_record():
    """What was recorded is what is read, at the same instant in UTC."""
    there = AT.astimezone(timezone(timedelta(hours=5)))
    record = Record.model_validate(a_record().model_dump() | {"at": there})
    assert link(None, record).record == record == Record.model_validate(a_record().model_dump() | {"at": AT})
    assert b'"at":"2026-01-02T03:04:05.000678Z"' in canonical(record)


def test_a_record_goes_to_its_own_place_only():
    """A record with another seq or of another org is not linked."""
    with pytest.raises(InvalidError, match="expected a record with seq 1, got 2"):
        link(None, a_record(2))
    with pytest.raises(InvalidError, match="expected a record with seq 2, got 3"):
        link(LEDGER[0], a_record(3))
    with pytest.raises(InvalidError, match="expected a record of org_"):
        link(LEDGER[0], a_record(2, org=OTHER))


@given(PLACES, st.data())
def test_any_changed_bit_is_found(place, data):
    """One flipped bit in a line of an export is a fault at that line or at the next one."""
    line = bytearray(LINES[place])
    bit = data.draw(st.integers(0, 8 * len(line) - 1))
    line[bit // 8] ^= 1 << bit % 8
    found = verify_pack([*LINES[:place], bytes(line), *LINES[place + 1 :]], [SIGNED])
    assert found.fault is not None
    assert found.fault.seq in {place + 1, place + 2}


@given(PLACES, st.sampled_from(["seq", "previous", "hash", "body", "org"]), st.data())
def test_any_changed_field_is_found(place, field, data):
    """A field changed in the table is a fault that names the seq."""
    entry = LEDGER[place]
    change = {
        "seq": st.integers(1, 20),
        "org": st.just(OTHER),
        "previous": st.text("0123456789abcdef", min_size=64, max_size=64),
        "hash": st.text("0123456789abcdef", min_size=64, max_size=64),
        "body": st.just(entry.body.replace("approved", "rejected")),
    }[field]
    value = data.draw(change.filter(lambda value: value != getattr(entry, field)))
    found = verify([*LEDGER[:place], forged(entry, **{field: value}), *LEDGER[place + 1 :]])
    assert found.fault is not None
    assert found.fault.seq in {place + 1, place + 2}


@given(st.integers(0, len(LEDGER) - 2))
def test_a_deleted_entry_is_named(place):
    """A hole is named by the seq that is missing."""
    fault = verify(LEDGER[:place] + LEDGER[place + 1 :]).fault
    assert fault is not None
    assert (fault.seq, fault.reason) == (place + 1, Reason.ORDER)


@given(st.permutations(range(len(LEDGER))))
def test_any_other_order_is_found(order):
    """Entries count in their one order only; the first out of place is named."""
    fault = verify(LEDGER[place] for place in order).fault
    wrong = next((number + 1 for number, place in enumerate(order) if number != place), None)
    assert (fault.seq if fault else None) == wrong


def test_a_doubled_entry_is_found():
    """The same entry twice is out of order."""
    fault = verify([*LEDGER[:3], LEDGER[2]]).fault
    assert fault is not None
    assert (fault.seq, fault.reason) == (4, Reason.ORDER)


@given(st.integers(1, len(LEDGER) - 1))
def test_a_fork_is_found(place):
    """Entries that continue another chain are told from those that were altered."""
    branch = a_ledger(len(LEDGER), since=LEDGER[: place - 1], action="plan.rejected")
    fault = verify(LEDGER[:place] + branch[place:]).fault
    twice = verify(LEDGER[:place] + branch[place - 1 :]).fault
    assert fault is not None
    assert twice is not None
    assert (fault.seq, fault.reason) == (place + 1, Reason.FORK)
    assert (twice.seq, twice.reason) == (place, Reason.FORK)


@given(st.integers(0, len(LEDGER) - 1))
def test_a_cut_tail_is_found_by_a_checkpoint(kept):
    """A shorter chain is whole in itself; the checkpoint names the first entry that is gone."""
    assert verify_pack(LINES[:kept]).is_whole
    fault = verify_pack(LINES[:kept], [SIGNED]).fault
    assert fault is not None
    assert (fault.seq, fault.reason) == (kept + 1, Reason.CUT)


@given(st.integers(0, len(LEDGER) - 1), st.integers(12, 16))
def test_a_ledger_hashed_anew_is_found_by_a_checkpoint(kept, size):
    """A rewritten chain is whole in itself; the checkpoint says it is another one."""
    rewritten = list(pack(a_ledger(size, since=LEDGER[:kept], action="plan.rejected")))
    assert verify_pack(rewritten).is_whole
    fault = verify_pack(rewritten, [SIGNED]).fault
    assert fault is not None
    assert (fault.seq, fault.reason) == (12, Reason.SIGNED)


@pytest.mark.parametrize(
    "body",
    [
        LEDGER[0].body.replace(",", ", ", 1),
        LEDGER[0].body.replace('{"', '{"action":"x","', 1),
        json.dumps(json.loads(LEDGER[0].body) | {"seq": 2}, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        '{"seq":NaN}', "[" * 50_000, "not json", "[]", "",
    ],
)  # fmt: skip
def test_a_body_counts_in_its_one_spelling(body):
    """A body that hashes well and is not the canonical text of its record is a fault."""
    fault = verify([hashed(body)]).fault
    assert fault is not None
    assert (fault.seq, fault.reason) == (1, Reason.BODY)


def hashed(body: str, *, org: OrgId = ORG) -> Entry:
    leaf = hashlib.sha256(b"\x00" + bytes(32) + body.encode()).hexdigest()
    return Entry(org=org, seq=1, previous=GENESIS, body=body, hash=leaf)


def test_another_orgs_body_is_found():
    """A body says whose it is."""
    fault = verify([hashed(LEDGER[0].body, org=OTHER)]).fault
    assert fault is not None
    assert fault.reason is Reason.ORG


def test_another_orgs_entry_is_found():
    """One chain belongs to one org."""
    fault = verify([LEDGER[0], a_ledger(2, org=OTHER)[1]]).fault
    assert fault is not None
    assert (fault.seq, fault.reason) == (2, Reason.ORG)


def test_another_orgs_checkpoint_confirms_nothing():
    """A checkpoint names the ledger it is about."""
    fault = verify_pack(LINES, [SIGNED.model_copy(update={"origin": origin_of(OTHER)})]).fault
    assert fault is not None
    assert fault.reason is Reason.ORG


@pytest.mark.parametrize("line", [b"", b"\n", b"{}\n", LINES[1][:-1], b" " + LINES[1], b"\xff\n", b"[" * 200_000])
def test_a_line_counts_in_its_one_spelling(line):
    """What no export writes is a fault at that line."""
    fault = verify_pack([LINES[0], line, *LINES[2:]]).fault
    assert fault is not None
    assert (fault.seq, fault.reason) == (2, Reason.LINE)


def test_a_long_ledger_is_walked_one_entry_at_a_time():
    """Verification pulls the next entry only after it is done with the last."""
    chain = Chain()
    for pulled, entry in enumerate(LEDGER, start=1):
        assert chain.follow(entry) is None
        assert (chain.size, chain.last) == (pulled, entry)
