"""The audit ledger of an org: a chain of hashes in which no past entry can change unnoticed."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from domain.base import Digest, Instant, OrgId, Value
from domain.canonical import canonical
from domain.errors import InvalidError

GENESIS: Digest = "0" * 64
PLATFORM = OrgId(int=0)  # whose chain holds the acts that belong to no org
BODY_LIMIT = 64 * 1024

Word = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Seq = Annotated[int, Field(ge=1, lt=2**53)]


class ActorType(StrEnum):
    PERSON = "person"
    SERVICE_ACCOUNT = "service_account"
    SYSTEM = "system"


class Record(Value):
    """Who did what to what, when; what it was before and after lies elsewhere and can be erased."""

    org_id: OrgId
    seq: Seq
    at: Annotated[Instant, AfterValidator(lambda at: at.astimezone(UTC))]
    actor_type: ActorType
    actor_id: Word
    action: Word
    resource_type: Word
    resource_id: Word
    trace_id: Word
    correlation_id: Word | None = None
    before_digest: Digest | None = None
    after_digest: Digest | None = None


class Entry(Value):
    """A record in its place; `body` is the record's canonical text, kept as text because its bytes are hashed."""

    org: OrgId
    seq: Seq
    previous: Digest
    body: Annotated[str, StringConstraints(max_length=BODY_LIMIT)]
    hash: Digest

    @property
    def record(self) -> Record:
        return Record.model_validate_json(self.body)


class Reason(StrEnum):
    HASH = "hash"  # the bytes are not those that were hashed
    ORDER = "order"  # missing, doubled or out of place
    FORK = "fork"  # whole in itself and continues another chain
    BODY = "body"  # not the canonical text of a record with this seq
    ORG = "org"  # belongs to another org
    LINE = "line"  # not a line that an export writes
    SIGNED = "signed"  # not what the checkpoint signed
    CUT = "cut"  # signed and gone


class Fault(Value):
    """The first bad seq and why."""

    seq: Seq
    reason: Reason
    message: str


class Verification(Value):
    """What a walk along the chain found: `size` entries are good, `signed` of them confirmed by a checkpoint."""

    size: Annotated[int, Field(ge=0)]
    head: Digest
    signed: Annotated[int, Field(ge=0)] = 0
    fault: Fault | None = None

    @property
    def is_whole(self) -> bool:
        return self.fault is None


def link(previous: Entry | None, record: Record) -> Entry:
    """The entry that puts `record` after `previous`; `None` begins a chain.

    Raises:
        InvalidError: the record names another org or another place.
    """
    seq, head = (previous.seq + 1, previous.hash) if previous else (1, GENESIS)
    if record.seq != seq:
        raise InvalidError(f"expected a record with seq {seq}, got {record.seq}")
    if previous and record.org_id != previous.org:
        raise InvalidError(f"expected a record of {previous.org.shown}, got one of {record.org_id.shown}")
    body = canonical(record)
    return Entry(org=record.org_id, seq=seq, previous=head, body=body.decode(), hash=_leaf(head, body))


def verify(entries: Iterable[Entry], *, after: Entry | None = None) -> Verification:
    """Walks the chain that continues `after` and stops at the first fault; remembers one entry at a time."""
    chain = Chain(after)
    for entry in entries:
        if fault := chain.follow(entry):
            return chain.verification(fault=fault)
    return chain.verification()


class Chain:
    """Follows a chain entry by entry and remembers only the last good one."""

    def __init__(self, after: Entry | None = None) -> None:
        self.last = after

    @property
    def size(self) -> int:
        return self.last.seq if self.last else 0

    @property
    def head(self) -> Digest:
        return self.last.hash if self.last else GENESIS

    def follow(self, entry: Entry) -> Fault | None:
        """What is wrong with `entry` as the next one; if nothing is, it is the last good one now."""
        fault = self._misplaced(entry) or self._altered(entry)
        if fault is None:
            self.last = entry
        return fault

    def verification(self, *, signed: int = 0, fault: Fault | None = None) -> Verification:
        return Verification(size=self.size, head=self.head, signed=signed, fault=fault)

    def _misplaced(self, entry: Entry) -> Fault | None:
        expected = self.size + 1
        if self.last and entry.org != self.last.org:
            return _fault(expected, Reason.ORG, f"expected an entry of {self.last.org.shown}, got one of {entry.org.shown}")
        if self.last and _rivals(self.last, entry):
            return _fault(entry.seq, Reason.FORK, f"there are two different entries {entry.seq}")
        if entry.seq != expected:
            return _fault(expected, Reason.ORDER, f"expected entry {expected}, got entry {entry.seq}")
        return None

    def _altered(self, entry: Entry) -> Fault | None:
        body = entry.body.encode()
        if entry.hash != _leaf(entry.previous, body):
            return _fault(entry.seq, Reason.HASH, f"entry {entry.seq} is not what was hashed")
        if entry.previous != self.head:
            return _fault(entry.seq, Reason.FORK, f"entry {entry.seq} does not continue entry {self.size}")
        return _misspelt(entry, body)


def _rivals(one: Entry, other: Entry) -> bool:
    return (one.seq, one.previous) == (other.seq, other.previous) and one.hash != other.hash


def _misspelt(entry: Entry, body: bytes) -> Fault | None:
    try:
        fields = json.loads(body)
        same = canonical(fields) == body
    except (ValueError, RecursionError, InvalidError):
        same = False
    if not same or not isinstance(fields, dict) or fields.get("seq") != entry.seq:
        return _fault(entry.seq, Reason.BODY, f"the body of entry {entry.seq} is not the canonical text of its record")
    if fields.get("org_id") != entry.org.shown:
        return _fault(entry.seq, Reason.ORG, f"the body of entry {entry.seq} is about another org")
    return None


def _leaf(previous: Digest, body: bytes) -> Digest:
    """The RFC 9162 leaf hash of the previous hash and the body, so the chain's entries are the tree's leaves."""
    return hashlib.sha256(b"\x00" + bytes.fromhex(previous) + body).hexdigest()


def _fault(seq: int, reason: Reason, message: str) -> Fault:
    return Fault(seq=seq, reason=reason, message=message)
