"""An exported ledger: one line per entry, verified offline against signed checkpoints."""

from collections.abc import Iterable, Iterator

from domain.base import Digest, OrgId
from domain.canonical import canonical
from domain.checkpoint import Checkpoint, check
from domain.ledger import BODY_LIMIT, Chain, Entry, Fault, Reason, Verification
from domain.merkle import Frontier

LINE_LIMIT = 2 * BODY_LIMIT + 1024  # every character of a body may need an escape


def origin_of(org: OrgId) -> str:
    """The origin line of the checkpoints of an org's ledger."""
    return f"suture/ledger/{org.shown}"


def pack(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The export of a ledger, line by line."""
    for entry in entries:
        yield canonical(entry) + b"\n"


def verify_pack(lines: Iterable[bytes], checkpoints: Iterable[Checkpoint] = ()) -> Verification:
    """Walks an export of a whole ledger; each checkpoint must be found on the way, with its size, root and head.

    The checkpoints are those whose signature has been verified. Without one, a cut tail cannot be told.
    """
    walk = _Walk(checkpoints)
    for line in lines:
        if fault := walk.follow(line):
            return walk.chain.verification(signed=walk.signed, fault=fault)
    return walk.chain.verification(signed=walk.signed, fault=walk.missing())


class _Walk:
    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self.chain, self.signed = Chain(), 0
        self._tree = Frontier()
        self._ahead = sorted(checkpoints, key=lambda checkpoint: checkpoint.size, reverse=True)

    def follow(self, line: bytes) -> Fault | None:
        entry = _read(line)
        if entry is None:
            seq = self.chain.size + 1
            return Fault(seq=seq, reason=Reason.LINE, message=f"line {seq} is not a line of an export")
        if fault := self.chain.follow(entry):
            return fault
        self._tree.add(entry.hash)
        return self._compare(entry)

    def missing(self) -> Fault | None:
        """The tail that the furthest checkpoint has seen and this export has not."""
        return self._against(self._ahead[0], head=self.chain.head) if self._ahead else None

    def _compare(self, entry: Entry) -> Fault | None:
        while self._ahead and self._ahead[-1].size == entry.seq:
            checkpoint = self._ahead.pop()
            if fault := self._misnamed(checkpoint, entry.org) or self._against(checkpoint, head=entry.hash):
                return fault
            self.signed = entry.seq
        return None

    def _misnamed(self, checkpoint: Checkpoint, org: OrgId) -> Fault | None:
        if checkpoint.origin == origin_of(org):
            return None
        message = f"expected a checkpoint of {origin_of(org)}, got one of {checkpoint.origin}"
        return Fault(seq=checkpoint.size, reason=Reason.ORG, message=message)

    def _against(self, checkpoint: Checkpoint, *, head: Digest) -> Fault | None:
        return check(checkpoint, size=self.chain.size, root=self._tree.root(), head=head)


def _read(line: bytes) -> Entry | None:
    """The entry, if `line` is exactly what `pack` writes for it."""
    if len(line) > LINE_LIMIT:
        return None
    try:
        entry = Entry.model_validate_json(line)
    except ValueError:
        return None
    return entry if canonical(entry) + b"\n" == line else None
