"""The Merkle tree of RFC 9162 section 2.1 over leaf hashes: roots, inclusion and consistency proofs."""

import hashlib
from collections.abc import Iterable, Sequence

from domain.base import Digest


class Frontier:
    """The roots of the full subtrees, largest first: all that is needed to add a leaf or to tell the root."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: Digest) -> None:
        """Each trailing 1 bit of the size is a subtree that the new leaf completes."""
        node, size = bytes.fromhex(leaf), self.size
        while size & 1:
            node, size = _node(self._peaks.pop(), node), size >> 1
        self._peaks.append(node)
        self.size += 1

    def root(self) -> Digest:
        if not self._peaks:
            return hashlib.sha256(b"").hexdigest()
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = _node(peak, node)
        return node.hex()


def root(leaves: Iterable[Digest]) -> Digest:
    """The root over `leaves`, in memory that grows with the logarithm of their count."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root()


def inclusion_proof(leaves: Sequence[Digest], index: int) -> list[Digest]:
    """The audit path of the leaf at `index`, from the leaf upwards (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} among {len(leaves)}")
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root(leaves[:split])]


def verify_inclusion(leaf: Digest, index: int, *, size: int, proof: Sequence[Digest], root: Digest) -> bool:
    """Whether `proof` shows that `leaf` is number `index` of `size` under `root` (section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, node = index, size - 1, bytes.fromhex(leaf)
    for sibling in map(bytes.fromhex, proof):
        if last == 0:
            return False
        if place & 1 or place == last:
            node = _node(sibling, node)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            node = _node(node, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and node.hex() == root


def consistency_proof(leaves: Sequence[Digest], old_size: int) -> list[Digest]:
    """What shows that the tree over the first `old_size` leaves is a beginning of this one (section 2.1.4.1)."""
    if not 0 < old_size <= len(leaves):
        raise IndexError(f"no tree of {old_size} leaves among {len(leaves)}")
    return _subproof(leaves, old_size, known=True)


def verify_consistency(*, old_size: int, old_root: Digest, new_size: int, new_root: Digest, proof: Sequence[Digest]) -> bool:
    """Whether `proof` shows that the new tree only added to the old one (section 2.1.4.2)."""
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    nodes = [bytes.fromhex(node) for node in proof]
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, bytes.fromhex(old_root))
    if not nodes:
        return False
    return _climb(old_size - 1, new_size - 1, nodes) == (old_root, new_root)


def _climb(place: int, last: int, nodes: list[bytes]) -> tuple[Digest, Digest] | None:
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            old, new = _node(sibling, old), _node(sibling, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = _node(new, sibling)
        place, last = place >> 1, last >> 1
    return (old.hex(), new.hex()) if last == 0 else None


def _subproof(leaves: Sequence[Digest], old_size: int, *, known: bool) -> list[Digest]:
    if old_size == len(leaves):
        return [] if known else [root(leaves)]
    split = _split(len(leaves))
    if old_size <= split:
        return [*_subproof(leaves[:split], old_size, known=known), root(leaves[split:])]
    return [*_subproof(leaves[split:], old_size - split, known=False), root(leaves[:split])]


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)
