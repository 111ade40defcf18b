"""Secrets open with their key, in their place, and from files that only their owner reads."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from adapters.secrets import MasterKeyFile, new_key, seal, sealed_with, unseal
from adapters.signing import Ed25519Signer
from domain.errors import InvalidError

KEY = new_key()
SEALED = seal(KEY, "k1", b"hook secret", b"connectors/7/secret")


@given(st.binary(max_size=200), st.binary(max_size=20), st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_what_is_sealed_opens(plaintext, place, key_id):
    """The sealed value tells which key it needs and gives back the plaintext."""
    sealed = seal(KEY, key_id, plaintext, place)
    assert sealed_with(sealed) == key_id
    assert unseal(KEY, sealed, place) == plaintext


def test_no_two_seals_are_alike():
    """A fresh nonce hides that two secrets are equal."""
    assert seal(KEY, "k1", b"same", b"") != seal(KEY, "k1", b"same", b"")
    assert b"hook secret" not in SEALED


@given(st.integers(0, 8 * len(SEALED) - 1))
def test_any_changed_bit_is_refused(bit):
    """Version, key id, nonce and ciphertext are all authenticated."""
    altered = bytearray(SEALED)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidError):
        unseal(KEY, bytes(altered), b"connectors/7/secret")


@pytest.mark.parametrize(
    ("key", "sealed", "place"),
    [
        (new_key(), SEALED, b"connectors/7/secret"),
        (KEY, SEALED, b"connectors/8/secret"),
        (KEY, SEALED[:-1], b"connectors/7/secret"),
        (KEY, SEALED[:20], b"connectors/7/secret"),
        (KEY, b"", b""),
    ],
    ids=["another key", "another place", "one byte short", "a stump", "nothing"],
)
def test_another_key_or_place_is_refused(key, sealed, place):
    """A secret copied into another row does not open there."""
    with pytest.raises(InvalidError):
        unseal(key, sealed, place)


@pytest.mark.parametrize("key_id", ["", "k" * 256])
def test_a_key_id_has_a_length(key_id):
    """A key id of no or too many bytes is refused."""
    with pytest.raises(InvalidError, match="1 to 255 bytes"):
        seal(KEY, key_id, b"", b"")


async def test_a_data_key_unwraps_in_its_context(tmp_path):
    """The next process reads the same master key; another context does not open."""
    wrapped = await MasterKeyFile(tmp_path / "master").wrap(KEY, b"org-1")
    again = MasterKeyFile(tmp_path / "master")
    assert await again.unwrap(wrapped, b"org-1") == KEY
    for altered, context in [(wrapped, b"org-2"), (wrapped[:-1], b"org-1"), (b"\x02" + wrapped[1:], b"org-1"), (b"", b"")]:
        with pytest.raises(InvalidError):
            await again.unwrap(altered, context)


async def test_another_master_key_is_named(tmp_path):
    """Who restored the wrong file is told so."""
    wrapped = await MasterKeyFile(tmp_path / "master").wrap(KEY, b"")
    with pytest.raises(InvalidError, match=r"another master key than the one in .*/second"):
        await MasterKeyFile(tmp_path / "second").unwrap(wrapped, b"")


async def test_only_whole_data_keys_are_wrapped(tmp_path):
    """A short key is refused."""
    with pytest.raises(InvalidError, match="32 bytes, got 16"):
        await MasterKeyFile(tmp_path / "master").wrap(bytes(16), b"")


@pytest.mark.parametrize("make", [MasterKeyFile, Ed25519Signer])
def test_a_key_file_is_private(make, tmp_path):
    """It is made with mode 0600 in a folder of mode 0700; a wider mode is refused with the command that mends it."""
    path = tmp_path / "keys" / "key"
    make(path)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o640)
    with pytest.raises(InvalidError, match=f"mode 0640.*run: chmod 600 {path}"):
        make(path)
    path.chmod(0o400)
    make(path)


@pytest.mark.parametrize("make", [MasterKeyFile, Ed25519Signer])
@pytest.mark.parametrize("content", [b"", b"\xff", b"abcd", b"-----BEGIN"])
def test_a_broken_key_file_is_named(make, content, tmp_path):
    """A file that holds no key is an error that names the file, and is never overwritten."""
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(InvalidError, match=str(path)):
        make(path)
    assert path.read_bytes() == content


def test_a_key_of_another_kind_does_not_sign(tmp_path):
    """A signing key of another kind is refused."""
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InvalidError, match="another kind than Ed25519"):
        Ed25519Signer(path)


def test_many_who_start_at_once_share_one_key(tmp_path):
    """Of many processes that make the key, one wins and all use its key."""
    path = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: Ed25519Signer(path).public_key, range(40)))
    assert len(keys) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_signature_counts_for_its_message(tmp_path):
    """Another message, another signature or another key does not verify."""
    signer, other = Ed25519Signer(tmp_path / "a"), Ed25519Signer(tmp_path / "b")
    signature = signer.sign(b"message")
    assert signer.verify(b"message", signature)
    assert not signer.verify(b"massage", signature)
    assert not signer.verify(b"message", signature[:-1])
    assert not other.verify(b"message", signature)
