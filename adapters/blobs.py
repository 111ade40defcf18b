"""Content-addressed files and folders in a directory of one machine: written whole or not at all, verified on read."""

import asyncio
import hashlib
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from domain.base import Digest
from domain.errors import HealError, InvalidError, NotFoundError

_CHUNK = 1024 * 1024
_DIGITS = frozenset("0123456789abcdef")


class DirectoryBlobs:
    """The port `Blobs` on a local directory. A folder is stored as a tar that depends on nothing but its content."""

    def __init__(self, root: Path, *, max_bytes: int = 256 * 1024**2, max_files: int = 10_000) -> None:
        self._root, self._max_bytes, self._max_files = root, max_bytes, max_files
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)

    async def put(self, content: bytes) -> Digest:
        """Store `content` and name it by its SHA-256."""
        return await asyncio.to_thread(self._put, content)

    async def get(self, digest: Digest) -> bytes:
        """The content named `digest`.

        Raises:
            NotFoundError: there is none.
            HealError: what is stored under that name is damaged.
        """
        return await asyncio.to_thread(self._get, digest)

    async def put_tree(self, folder: Path, *, max_bytes: int | None = None, max_files: int | None = None) -> Digest:
        """Store all files of `folder`, within the store's bounds or narrower ones.

        Raises:
            InvalidError: it holds a link, a device, another owner's file, or too much.
        """
        bounds = min(max_bytes or self._max_bytes, self._max_bytes), min(max_files or self._max_files, self._max_files)
        return await asyncio.to_thread(self._put_tree, folder, *bounds)

    async def unpack(self, digest: Digest, into: Path) -> None:
        """Lay the stored folder, read-only, into the empty directory `into`."""
        await asyncio.to_thread(self._unpack, digest, into)

    def _put(self, content: bytes) -> Digest:
        if len(content) > self._max_bytes:
            raise InvalidError(f"expected at most {self._max_bytes} bytes, got {len(content)}")
        with _Incoming(self._root) as incoming:
            incoming.write(content)
            return incoming.keep()

    def _get(self, digest: Digest) -> bytes:
        with self._verified(digest) as stored:
            return stored.read(self._max_bytes + 1)

    def _put_tree(self, folder: Path, max_bytes: int, max_files: int) -> Digest:
        with _Incoming(self._root) as incoming:
            with tarfile.open(fileobj=cast(BinaryIO, incoming), mode="w", format=tarfile.PAX_FORMAT) as archive:
                for path, member in _members(folder, max_bytes=max_bytes, max_files=max_files):
                    _add(archive, path, member)
            return incoming.keep()

    def _unpack(self, digest: Digest, into: Path) -> None:
        folders = [into]
        with self._verified(digest) as stored, tarfile.open(fileobj=stored, mode="r:") as archive:
            for count, member in enumerate(archive, start=1):
                if count > self._max_files or stored.tell() > self._max_bytes + 2048 * self._max_files:
                    raise InvalidError(f"blob {digest} holds more than {self._max_files} files or {self._max_bytes} bytes")
                target = into / _safe(member.name)
                if member.isdir():
                    target.mkdir(mode=0o700)
                    folders.append(target)
                else:
                    _extract(archive, member, target)
        for folder in reversed(folders):
            folder.chmod(0o555)

    def _verified(self, digest: Digest) -> BinaryIO:
        path = _place(self._root, digest)
        try:
            stored = path.open("rb")
        except FileNotFoundError:
            raise NotFoundError(f"no blob {digest}") from None
        found = hashlib.file_digest(stored, "sha256").hexdigest()
        if found != digest:
            stored.close()
            raise HealError(f"blob {digest} is damaged: its content has the digest {found}")
        stored.seek(0)
        return stored


class _Incoming:
    """A blob being written: hashed on the way, visible under its digest only when whole."""

    def __init__(self, root: Path) -> None:
        self._root, self._hash = root, hashlib.sha256()

    def __enter__(self) -> "_Incoming":
        descriptor, name = tempfile.mkstemp(prefix=".incoming-", dir=self._root)
        self._file, self._path = os.fdopen(descriptor, "wb"), Path(name)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def tell(self) -> int:
        return self._file.tell()

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        return self._file.write(content)

    def keep(self) -> Digest:
        self._file.flush()
        os.fsync(self._file.fileno())
        digest = self._hash.hexdigest()
        place = _place(self._root, digest)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        os.fchmod(self._file.fileno(), 0o400)
        self._path.replace(place)
        _sync(place.parent)
        _sync(self._root)
        return digest


def _place(root: Path, digest: Digest) -> Path:
    if len(digest) != 64 or set(digest) - _DIGITS:
        raise InvalidError("expected a digest of 64 hexadecimal digits")
    return root / digest[:2] / digest


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _members(folder: Path, *, max_bytes: int, max_files: int) -> Iterator[tuple[Path, tarfile.TarInfo]]:
    owner, size = folder.lstat().st_uid, 0
    for count, path in enumerate(_walk(folder), start=1):
        if count > max_files:
            raise InvalidError(f"expected at most {max_files} files, got more")
        name, found = path.relative_to(folder).as_posix(), path.lstat()
        size += found.st_size if stat.S_ISREG(found.st_mode) else 0
        if size > max_bytes:
            raise InvalidError(f"expected at most {max_bytes} bytes of files, got more")
        # A hard link to somebody else's file would let a stage have it read by its worker.
        if found.st_uid != owner:
            raise InvalidError(f"{name!r} belongs to another user than its folder")
        yield path, _member(name, found)


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _member(name: str, found: os.stat_result) -> tarfile.TarInfo:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidError(f"expected file names in UTF-8, got {name!r}") from None
    member = tarfile.TarInfo(name)
    if stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISREG(found.st_mode):
        member.size, member.mode = found.st_size, 0o755 if found.st_mode & 0o100 else 0o644
    else:
        raise InvalidError(f"{name!r} is neither a file nor a folder")
    return member


def _add(archive: tarfile.TarFile, path: Path, member: tarfile.TarInfo) -> None:
    if member.isdir():
        archive.addfile(member)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as content:
        archive.addfile(member, content)


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise InvalidError(f"a stored folder names {name!r}, which lies outside of it")
    return path


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        raise InvalidError(f"a stored folder holds {member.name!r}, which is neither a file nor a folder")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(target, flags, 0o600), "wb") as written:
        while chunk := content.read(_CHUNK):
            written.write(chunk)
        os.fchmod(written.fileno(), 0o555 if member.mode & 0o100 else 0o444)
