"""Blobs are named by their content, and what is damaged, strange or too much is refused."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from adapters.blobs import DirectoryBlobs
from domain.errors import HealError, InvalidError, NotFoundError


@pytest.fixture
def blobs(tmp_path: Path) -> DirectoryBlobs:
    return DirectoryBlobs(tmp_path / "blobs", max_bytes=100_000, max_files=10)


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        file = path / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


async def test_roundtrip(blobs: DirectoryBlobs, tmp_path: Path) -> None:
    """A folder comes back read-only with its content, its empty folders and its executables."""
    source = folder(tmp_path / "source", a="1", deep__b="2")
    (source / "empty").mkdir()
    (source / "a").chmod(0o700)
    into = tmp_path / "into"
    into.mkdir()
    await blobs.unpack(await blobs.put_tree(source), into)
    assert sorted(str(path.relative_to(into)) for path in into.rglob("*")) == ["a", "deep", "deep/b", "empty"]
    assert (into / "deep" / "b").read_text() == "2"
    modes = [oct(path.stat().st_mode & 0o777) for path in (into, into / "a", into / "deep", into / "deep" / "b")]
    assert modes == ["0o555", "0o555", "0o555", "0o444"]


async def test_same_content_same_digest(blobs: DirectoryBlobs, tmp_path: Path) -> None:
    """The digest depends on names and content, not on times or the order of creation."""
    one, two = folder(tmp_path / "one", a="1", b="2"), folder(tmp_path / "two", b="2", a="1")
    os.utime(two / "a", (1, 1))
    assert await blobs.put_tree(one) == await blobs.put_tree(two)
    assert await blobs.put_tree(folder(tmp_path / "three", a="1", b="3")) != await blobs.put_tree(one)


async def test_bytes(blobs: DirectoryBlobs) -> None:
    """Bytes are stored under their SHA-256."""
    digest = await blobs.put(b"hello")
    assert digest == hashlib.sha256(b"hello").hexdigest()
    assert await blobs.get(digest) == b"hello"


async def test_damage_is_seen(blobs: DirectoryBlobs, tmp_path: Path) -> None:
    """What no longer has its digest is not given out, and what is not there is not found."""
    digest = await blobs.put(b"hello")
    path = tmp_path / "blobs" / digest[:2] / digest
    path.chmod(0o600)
    path.write_bytes(b"hellO")
    with pytest.raises(HealError, match="is damaged"):
        await blobs.get(digest)
    with pytest.raises(NotFoundError):
        await blobs.get("0" * 64)
    with pytest.raises(InvalidError, match="64 hexadecimal digits"):
        await blobs.get("../../etc/passwd")


async def test_bounds(blobs: DirectoryBlobs, tmp_path: Path) -> None:
    """Too many files and too many bytes are refused, and nothing is left of the attempt."""
    with pytest.raises(InvalidError, match="at most 10 files"):
        await blobs.put_tree(folder(tmp_path / "many", **{f"f{n}": "" for n in range(11)}))
    with pytest.raises(InvalidError, match="at most 100000 bytes"):
        await blobs.put_tree(folder(tmp_path / "large", a="x" * 100_001))
    with pytest.raises(InvalidError, match="at most 1 files"):
        await blobs.put_tree(folder(tmp_path / "two", a="", b=""), max_files=1)
    assert list((tmp_path / "blobs").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own another's file")
async def test_files_of_others(blobs: DirectoryBlobs, tmp_path: Path) -> None:
    """A file of another owner than its folder is refused."""
    source = folder(tmp_path / "source", mine="1", other="2")
    os.chown(source / "other", 61000, 61000)
    with pytest.raises(InvalidError, match="'other' belongs to another user"):
        await blobs.put_tree(source)


@pytest.mark.parametrize("name", ["../out", "/abs", "a/../../b"])
async def test_no_way_out(blobs: DirectoryBlobs, tmp_path: Path, name: str) -> None:
    """A stored archive cannot write outside its folder."""
    await _refused(blobs, tmp_path, tarfile.TarInfo(name), "lies outside")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
async def test_no_strange_members(blobs: DirectoryBlobs, tmp_path: Path, kind: bytes) -> None:
    """A stored archive cannot bring a link or a device."""
    member = tarfile.TarInfo("strange")
    member.type, member.linkname = kind, "/etc/passwd"
    await _refused(blobs, tmp_path, member, "neither a file nor a folder")


async def _refused(blobs: DirectoryBlobs, tmp_path: Path, member: tarfile.TarInfo, reason: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(member)
    digest = await blobs.put(packed.getvalue())
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(InvalidError, match=reason):
        await blobs.unpack(digest, into)
    assert list(into.iterdir()) == []
