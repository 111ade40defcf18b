"""A checkpoint counts with its signer's signature and in its one spelling."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.signing import Ed25519Signer, verified
from domain.checkpoint import Checkpoint, NoteKey, check, key_of, parse, render
from domain.errors import InvalidError
from domain.ledger import Reason

CHECKPOINT = Checkpoint(origin="suture/ledger/org_1", size=12, root="ab" * 32, head="cd" * 32)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return Ed25519Signer(tmp_path_factory.mktemp("keys") / "ledger.pem")


@pytest.fixture(scope="module")
def key(signer):
    return NoteKey(name="suture.example", public_key=signer.public_key)


@pytest.fixture(scope="module")
def note(signer, key):
    return render(CHECKPOINT, key=key, sign=signer.sign)


def test_a_note_is_read_back(signer, key, note):
    """What was signed is what is read, with the public key alone."""
    found = parse(note, key=key_of(key.text), verify=lambda message, signature: verified(key.public_key, message, signature))
    assert found == CHECKPOINT


def test_a_note_is_a_signed_note_of_c2sp(note, key):
    """Text, an empty line, an em dash, the name, and base64 of key id and signature."""
    text, signature = note.split("\n\n")
    assert text.splitlines()[1:3] == ["12", base64.b64encode(b"\xab" * 32).decode()]
    dash, name, encoded = signature.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", "suture.example")
    assert (base64.b64decode(encoded)[:4], len(base64.b64decode(encoded))) == (key.id, 68)


def test_a_key_id_is_computed_as_in_the_standard():
    """The published example key of Go's checksum database has the id it is known by."""
    key = key_of("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
    assert (key.name, key.id.hex()) == ("sum.golang.org", "033de0ae")
    assert key.text == "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"


@given(st.data())
def test_a_changed_line_does_not_count(signer, key, note, data):
    """One flipped bit in what is signed makes the note invalid."""
    raw = bytearray(CHECKPOINT.text.encode())
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    altered = raw.decode(errors="surrogateescape") + note[len(CHECKPOINT.text) :]
    with pytest.raises(InvalidError):
        parse(altered, key=key, verify=signer.verify)


def test_another_signer_does_not_count(signer, key, note, tmp_path):
    """Neither another key of the same name nor the same key under another name."""
    other = Ed25519Signer(tmp_path / "other.pem")
    for name, person in [("suture.example", other), ("somebody.else", signer)]:
        with pytest.raises(InvalidError, match=f"no valid signature by {name}"):
            parse(note, key=NoteKey(name=name, public_key=person.public_key), verify=person.verify)


def test_further_signatures_are_passed_over(signer, key, note, tmp_path):
    """A witness may add its line before or after ours."""
    other = Ed25519Signer(tmp_path / "other.pem")
    witness = render(CHECKPOINT, key=NoteKey(name="witness", public_key=other.public_key), sign=other.sign).split("\n\n")[1]
    text, ours = note.split("\n\n")
    assert parse(f"{text}\n\n{witness}{ours}{witness}", key=key, verify=signer.verify) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        f"o\n01\n{'q' * 43}=\nhead {'cd' * 32}\n",
        CHECKPOINT.text + "more\n",
        f"o\n1\n%%%\nhead {'cd' * 32}\n",
        CHECKPOINT.text.replace("head ", ""),
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(signer, key, text):
    """A signature alone does not make a checkpoint."""
    signature = base64.b64encode(key.id + signer.sign(text.encode())).decode()
    with pytest.raises(InvalidError):
        parse(f"{text}\n— {key.name} {signature}\n", key=key, verify=signer.verify)


def test_a_note_without_end_is_refused(signer, key, note):
    """The length of a note is bounded."""
    with pytest.raises(InvalidError, match="at most 16384 characters"):
        parse(note + "x" * 20_000, key=key, verify=signer.verify)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a+b",
        "sum golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "sum.golang.org+033de0ae+As4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "a+00000000+AQ==",
        "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    ],
)
def test_what_is_no_key_is_refused(text):
    """A key with another id than its own is refused as well."""
    with pytest.raises(InvalidError):
        key_of(text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"size": 11}, Reason.CUT),
        ({"root": "ee" * 32}, Reason.SIGNED),
        ({"head": "ee" * 32}, Reason.SIGNED),
        ({"size": 13}, Reason.SIGNED),
    ],
)
def test_a_ledger_is_held_against_what_was_signed(change, reason):
    """Size, root and head must all be those of the checkpoint."""
    fault = check(CHECKPOINT, **{"size": 12, "root": CHECKPOINT.root, "head": CHECKPOINT.head} | change)
    assert (fault.reason if fault else None) is reason
