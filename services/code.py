"""The code of a pipeline as it is sent: paths to contents, checked, laid into a folder and stored by its digest."""

import asyncio
import base64
import binascii
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from domain.base import Digest
from domain.errors import InvalidError
from services.ports import Blobs

LARGEST = 8 * 1024 * 1024
MOST_FILES = 2_000
DEEPEST = 10
_LONGEST_PART = 255
_PART = re.compile(r"(?!\.{1,2}$)[^/\\\x00-\x1f\x7f]+")


async def store_code(blobs: Blobs, files: Mapping[str, str]) -> Digest:
    """The digest of a folder that holds `files`: relative paths to contents in base64.

    Raises:
        InvalidError: a path that leaves the folder, content that is not base64, or too much; nothing is stored.
    """
    contents = _decoded(files)
    with tempfile.TemporaryDirectory(prefix="suture-code-") as folder:
        await asyncio.to_thread(_lay, Path(folder), contents)
        return await blobs.put_tree(Path(folder), max_bytes=LARGEST, max_files=MOST_FILES * DEEPEST)


def _decoded(files: Mapping[str, str]) -> dict[str, bytes]:
    if len(files) > MOST_FILES:
        raise InvalidError(f"expected at most {MOST_FILES} files, got {len(files)}", pointer="/code")
    for path in files:
        _check_path(path)
    _check_tree(files)
    contents = {path: _bytes(text) for path, text in files.items()}
    if sum(map(len, contents.values())) > LARGEST:
        raise InvalidError(f"expected at most {LARGEST} bytes of code", pointer="/code")
    return contents


def _check_path(path: str) -> None:
    parts = path.split("/")
    if len(parts) > DEEPEST or not all(_PART.fullmatch(part) and len(part.encode()) <= _LONGEST_PART for part in parts):
        raise InvalidError(f"expected relative paths of up to {DEEPEST} names, without .. and backslashes", pointer="/code")


def _check_tree(files: Mapping[str, str]) -> None:
    """No path may be a file and a folder at once."""
    folders = {path.rsplit("/", depth)[0] for path in files for depth in range(1, path.count("/") + 1)}
    if folders & files.keys():
        raise InvalidError("one path is both a file and a folder", pointer="/code")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidError("expected the content of every file in base64", pointer="/code") from None


def _lay(folder: Path, contents: Mapping[str, bytes]) -> None:
    for path, content in contents.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
