"""Merkle roots and proofs as RFC 9162 defines them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.merkle import consistency_proof, inclusion_proof, root, verify_consistency, verify_inclusion

SIZES = st.integers(1, 70)

# The test vectors of the first Certificate Transparency implementation: leaf data, and the root over the first n of them.
VECTORS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count: int) -> list[str]:
    return [hashlib.sha256(b"\x00" + str(number).encode()).hexdigest() for number in range(count)]


def flipped(digest: str, bit: int) -> str:
    return (int(digest, 16) ^ (1 << bit)).to_bytes(32, "big").hex()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_other_implementations(size):
    """The published vectors come out."""
    hashes = [hashlib.sha256(b"\x00" + bytes.fromhex(data)).hexdigest() for data in VECTORS[:size]]
    assert root(hashes) == ROOTS[size - 1]


def test_no_leaves_have_a_root_too():
    """The empty tree is the hash of nothing."""
    assert root([]) == hashlib.sha256().hexdigest()


@given(SIZES, st.data())
def test_every_leaf_can_be_shown_to_be_in_the_tree(size, data):
    """A proof verifies for its leaf, place, size and root, and for no other."""
    tree, index = leaves(size), data.draw(st.integers(0, size - 1))
    proof, top = inclusion_proof(tree, index), root(tree)
    assert verify_inclusion(tree[index], index, size=size, proof=proof, root=top)
    bit = data.draw(st.integers(0, 255))
    assert not verify_inclusion(flipped(tree[index], bit), index, size=size, proof=proof, root=top)
    assert not verify_inclusion(tree[index], index, size=size, proof=proof, root=flipped(top, bit))
    assert not verify_inclusion(tree[index], index, size=size, proof=[*proof, top], root=top)
    assert not verify_inclusion(tree[index], index, size=4 * size, proof=proof, root=top)
    assert not verify_inclusion(tree[index], size, size=size, proof=proof, root=top)
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        forged = [flipped(node, bit) if number == place else node for number, node in enumerate(proof)]
        assert not verify_inclusion(tree[index], index, size=size, proof=forged, root=top)
        assert not verify_inclusion(tree[index], index, size=size, proof=proof[:-1], root=top)
        assert not verify_inclusion(tree[index], index ^ 1, size=size, proof=proof, root=top)


@given(SIZES, st.data())
def test_a_tree_can_be_shown_to_be_a_beginning_of_a_later_one(size, data):
    """A proof verifies between its two roots, and between no others."""
    tree, old_size = leaves(size), data.draw(st.integers(1, size))
    old, new, proof = root(tree[:old_size]), root(tree), consistency_proof(tree, old_size)
    known = {"old_size": old_size, "old_root": old, "new_size": size, "new_root": new}
    assert verify_consistency(**known, proof=proof)
    bit = data.draw(st.integers(0, 255))
    assert not verify_consistency(**known | {"old_root": flipped(old, bit)}, proof=proof)
    assert not verify_consistency(**known | {"new_root": flipped(new, bit)}, proof=proof)
    assert not verify_consistency(**known, proof=[*proof, new])
    assert not verify_consistency(**known | {"old_size": size + 1}, proof=proof)
    assert not verify_consistency(**known | {"new_size": 4 * size}, proof=proof)
    for place in range(len(proof)):
        forged = [flipped(node, bit) if number == place else node for number, node in enumerate(proof)]
        assert not verify_consistency(**known, proof=forged)
        assert not verify_consistency(**known, proof=proof[:place])


def test_proofs_of_what_is_not_there_are_refused():
    """There is no leaf before the first and none after the last."""
    for index in (-1, 3):
        with pytest.raises(IndexError, match="among 3"):
            inclusion_proof(leaves(3), index)
    for size in (0, 4):
        with pytest.raises(IndexError, match="among 3"):
            consistency_proof(leaves(3), size)
