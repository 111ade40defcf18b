"""Read, verify, export, sign and prove an org's ledger, in batches, however long it is."""

from collections.abc import AsyncIterator

from domain.audit import AuditFilter, AuditItem, InclusionProof
from domain.base import Digest, OrgId
from domain.canonical import digest
from domain.checkpoint import Checkpoint, NoteKey, check, parse, render
from domain.errors import ConflictError, InvalidError, NotFoundError
from domain.ledger import Chain, Fault, Reason, Verification
from domain.ledger_pack import origin_of, pack
from domain.merkle import Frontier, inclusion_proof, root
from services.ports import CheckpointShelf, NoteSigner
from storage import audit as store
from storage.engine import Database

_BATCH = 1_000
_HASHES = 10_000
_LARGEST_PROOF = 1_000_000
_EXACT = 2**53
_COPIES = ("actor_type", "actor_id", "action", "resource_type", "resource_id", "trace_id", "correlation_id")
SIGNER = "suture"


class Audit:
    def __init__(self, database: Database, signer: NoteSigner, shelf: CheckpointShelf) -> None:
        self._database = database
        self._signer = signer
        self._shelf = shelf
        self._key = NoteKey(name=SIGNER, public_key=signer.public_key)

    @property
    def key(self) -> str:
        """What an offline check needs to know the signer."""
        return self._key.text

    async def page(self, org: OrgId, wanted: AuditFilter, *, before: int | None = None, limit: int = 50) -> list[AuditItem]:
        """The newest first, older than the seq `before`."""
        async with self._database.transaction(org) as session:
            return await store.find(session, wanted, before=before, limit=min(limit, 200))

    async def verify(self, org: OrgId) -> Verification:
        """Walks the whole chain against its head and against every checkpoint, and names the first bad seq."""
        try:
            ahead = await self._checkpoints(org)
        except InvalidError as error:
            return Chain().verification(fault=Fault(seq=1, reason=Reason.SIGNED, message=f"a checkpoint: {error}"))
        async with self._database.transaction(org) as session:
            size, head = await store.head(session)
        walk = _Walk(ahead)
        async for stored in self._entries(org, upto=size):
            if fault := walk.follow(stored):
                return walk.chain.verification(signed=walk.signed, fault=fault)
        return walk.chain.verification(signed=walk.signed, fault=walk.missing(size=size, head=head))

    async def export(self, org: OrgId) -> AsyncIterator[bytes]:
        """The lines that `domain.ledger_pack.verify_pack` verifies offline."""
        async with self._database.transaction(org) as session:
            size, _ = await store.head(session)
        async for stored in self._entries(org, upto=size):
            for line in pack((stored.entry,)):
                yield line

    async def checkpoint(self, org: OrgId) -> str:
        """Sign how long the ledger is and what is in it; the note is kept outside the database.

        Raises:
            ConflictError: the ledger is not whole, so nothing is signed.
            NotFoundError: it is empty.
        """
        found = await self.verify(org)
        if found.fault is not None:
            raise ConflictError(f"the ledger is not signed: {found.fault.message}")
        if found.size == 0:
            raise NotFoundError("the ledger is empty")
        tree = await self._tree(org, found.size)
        signed = Checkpoint(origin=origin_of(org), size=found.size, root=tree.root(), head=found.head)
        note = render(signed, key=self._key, sign=self._signer.sign)
        await self._shelf.keep(org, found.size, note)
        return note

    async def latest_checkpoint(self, org: OrgId) -> str:
        """Raises NotFoundError: none was signed yet."""
        notes = await self._shelf.notes(org)
        if not notes:
            raise NotFoundError("no checkpoint was signed yet")
        return notes[-1]

    async def signed_size(self, org: OrgId) -> int:
        """How many entries the newest checkpoint covers; 0 when none was signed yet.

        Raises:
            InvalidError: what is kept as the newest one is not a note of ours.
        """
        notes = await self._shelf.notes(org)
        return parse(notes[-1], key=self._key, verify=self._signer.verify).size if notes else 0

    async def proof(self, org: OrgId, seq: int) -> InclusionProof:
        """That the entry is in the ledger of the newest checkpoint, or in today's if it is newer than that.

        Raises:
            NotFoundError: no such entry.
            InvalidError: the ledger is too long to prove from in one answer.
        """
        signed = [point.size for point in await self._checkpoints(org) if point.size >= seq]
        async with self._database.transaction(org) as session:
            size = signed[-1] if signed else (await store.head(session))[0]
        if not 1 <= seq <= size:
            raise NotFoundError("no such entry in the ledger")
        if size > _LARGEST_PROOF:
            raise InvalidError(f"proofs are made for ledgers of up to {_LARGEST_PROOF} entries; export this one")
        leaves = [leaf async for leaf in self._leaves(org, size)]
        if len(leaves) != size:
            raise ConflictError("the ledger is not whole: verify it")
        path = tuple(inclusion_proof(leaves, seq - 1))
        return InclusionProof(seq=seq, leaf=leaves[seq - 1], size=size, root=root(leaves), path=path)

    async def _checkpoints(self, org: OrgId) -> list[Checkpoint]:
        return [parse(note, key=self._key, verify=self._signer.verify) for note in await self._shelf.notes(org)]

    async def _entries(self, org: OrgId, *, upto: int) -> AsyncIterator[store.Stored]:
        after = 0
        while after < upto:
            async with self._database.transaction(org) as session:
                batch = await store.batch(session, org, after=after, upto=upto, limit=_BATCH)
            for stored in batch:
                yield stored
            if not batch:
                return
            after = batch[-1].entry.seq

    async def _leaves(self, org: OrgId, size: int) -> AsyncIterator[Digest]:
        for after in range(0, size, _HASHES):
            async with self._database.transaction(org) as session:
                leaves = await store.hashes(session, after=after, upto=min(size, after + _HASHES), limit=_HASHES)
            for leaf in leaves:
                yield leaf

    async def _tree(self, org: OrgId, size: int) -> Frontier:
        tree = Frontier()
        async for leaf in self._leaves(org, size):
            tree.add(leaf)
        return tree


class _Walk:
    """Follows the chain, and compares each entry with its copies and details, and the tree with each checkpoint."""

    def __init__(self, checkpoints: list[Checkpoint]) -> None:
        self.chain, self.signed = Chain(), 0
        self._tree = Frontier()
        self._ahead = sorted(checkpoints, key=lambda point: point.size, reverse=True)

    def follow(self, stored: store.Stored) -> Fault | None:
        if fault := self.chain.follow(stored.entry) or _differing(stored):
            return fault
        self._tree.add(stored.entry.hash)
        while self._ahead and self._ahead[-1].size == stored.entry.seq:
            if fault := self._against(self._ahead.pop()):
                return fault
            self.signed = stored.entry.seq
        return None

    def missing(self, *, size: int, head: Digest) -> Fault | None:
        """What the furthest checkpoint or the head has seen and this walk has not."""
        if self._ahead and (fault := self._against(self._ahead[0])):
            return fault
        if self.chain.size < size:
            message = f"the head says {size} entries and {self.chain.size} are there"
            return Fault(seq=self.chain.size + 1, reason=Reason.CUT, message=message)
        if self.chain.head != head:
            return Fault(seq=max(1, size), reason=Reason.FORK, message="the head is not the hash of the last entry")
        return None

    def _against(self, point: Checkpoint) -> Fault | None:
        return check(point, size=self.chain.size, root=self._tree.root(), head=self.chain.head)


def _differing(stored: store.Stored) -> Fault | None:
    """Details may be erased, never altered; the copies serve queries and must say what the entry says."""
    record, item = stored.entry.record, stored.item
    copied = all(getattr(record, name) == getattr(item, name) for name in _COPIES) and record.at == item.created_at
    details = ((item.before, record.before_digest), (item.after, record.after_digest))
    if copied and all(value is None or digest(_as_written(value)) == expected for value, expected in details):
        return None
    message = f"what stands beside entry {record.seq} is not what the entry says"
    return Fault(seq=record.seq, reason=Reason.BODY, message=message)


def _as_written(value: object) -> object:
    """The database writes 1e21 as an integer, which the canonical spelling has no word for."""
    match value:
        case dict():
            return {key: _as_written(inner) for key, inner in value.items()}
        case list():
            return [_as_written(inner) for inner in value]
        case int() if abs(value) >= _EXACT:
            return float(value)
    return value
