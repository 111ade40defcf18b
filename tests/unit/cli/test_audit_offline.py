"""`suture audit`: an exported log is checked without asking anybody."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.base import OrgId
from domain.checkpoint import Checkpoint, NoteKey, render
from domain.ledger import ActorType, Entry, Record, link
from domain.ledger_pack import origin_of, pack
from domain.merkle import Frontier
from tests.unit.cli.conftest import Stub, Suture

ORG = OrgId(int=7)


def entries(count: int) -> list[Entry]:
    made: list[Entry] = []
    for seq in range(1, count + 1):
        record = Record(
            org_id=ORG,
            seq=seq,
            at=datetime(2026, 11, 20, tzinfo=UTC),
            actor_type=ActorType.SYSTEM,
            actor_id="suture",
            action="tested",
            resource_type="test",
            resource_id=str(seq),
            trace_id="0" * 32,
        )
        made.append(link(made[-1] if made else None, record))
    return made


@pytest.fixture
def exported() -> tuple[bytes, str, str]:
    """A log of three entries, its signed note, and the signer's key."""
    signer = Ed25519PrivateKey.generate()
    key, tree, made = NoteKey(name="suture", public_key=signer.public_key().public_bytes_raw()), Frontier(), entries(3)
    for entry in made:
        tree.add(entry.hash)
    point = Checkpoint(origin=origin_of(ORG), size=3, root=tree.root(), head=made[-1].hash)
    return b"".join(pack(made)), render(point, key=key, sign=signer.sign), key.text


def words(folder: Path, log: bytes, note: str, key: str) -> tuple[str, ...]:
    for name, content in (("a.jsonl", log), ("a.note", note.encode()), ("a.key", key.encode())):
        (folder / name).write_bytes(content)
    file, checkpoint, signer = (str(folder / name) for name in ("a.jsonl", "a.note", "a.key"))
    return "audit", "verify", "--file", file, "--checkpoint", checkpoint, "--key", signer


def test_export_is_whole(suture: Suture, stub: Stub, exported: tuple[bytes, str, str], tmp_path: Path):
    """What the API exported and signed verifies, without a word to the API."""
    stub.on("POST /audit-logs/checkpoint", {"note": exported[1], "key": exported[2]}, status=201)
    stub.on("GET /audit-logs/export", exported[0])
    assert suture("audit", "export", str(tmp_path / "log.jsonl")).exit_code == 0
    parts = [tmp_path / f"log.{kind}" for kind in ("jsonl", "note", "key")]
    stub.asked.clear()
    found = suture(
        "audit", "verify", *(w for pair in zip(("--file", "--checkpoint", "--key"), map(str, parts), strict=True) for w in pair)
    )
    assert (found.exit_code, stub.asked) == (0, [])
    assert {path.stat().st_mode & 0o777 for path in parts} == {0o600}


def test_export_never_replaces_a_file(suture: Suture, stub: Stub, exported: tuple[bytes, str, str], tmp_path: Path):
    """A log that was exported before stays as it is."""
    stub.on("POST /audit-logs/checkpoint", {"note": exported[1], "key": exported[2]}, status=201)
    (tmp_path / "log.jsonl").write_text("mine")
    assert suture("audit", "export", str(tmp_path / "log.jsonl")).exit_code == 1
    assert (tmp_path / "log.jsonl").read_text() == "mine"


def test_cut_tail_is_found(suture: Suture, exported: tuple[bytes, str, str], tmp_path: Path):
    """A log that lost its last entry ends with 1 and the seq that is missing."""
    log, note, key = exported
    found = suture(*words(tmp_path, b"".join(log.splitlines(keepends=True)[:2]), note, key))
    assert (found.exit_code, "entry 3" in found.stdout) == (1, True)


def test_changed_entry_is_found(suture: Suture, exported: tuple[bytes, str, str], tmp_path: Path):
    """A changed word in an entry ends with 1, with or without a checkpoint."""
    log, note, key = exported
    given = words(tmp_path, log.replace(b"tested", b"tasted"), note, key)
    assert suture(*given).exit_code == suture(*given[:4]).exit_code == 1


@pytest.mark.parametrize("key", ["", "nonsense", "suture+00000000+AQ==", "\xff" * 40])
def test_wrong_key_is_refused(suture: Suture, exported: tuple[bytes, str, str], tmp_path: Path, key: str):
    """A key that is none is a sentence."""
    assert suture(*words(tmp_path, exported[0], exported[1], key)).exit_code == 2


def test_checkpoint_without_its_key(suture: Suture, exported: tuple[bytes, str, str], tmp_path: Path):
    """A note proves nothing without the key of its signer."""
    assert suture(*words(tmp_path, *exported)[:6]).exit_code == 2
