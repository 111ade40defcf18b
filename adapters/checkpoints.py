"""Signed checkpoints as files, a folder per org: where whoever rewrites a ledger's rows cannot reach them."""

import asyncio
import os
import tempfile
from pathlib import Path

from domain.base import OrgId

_KEPT = 200
_LIMIT = 16 * 1024


class CheckpointFolder:
    """Keeps the newest notes of each org; a note is never overwritten."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def keep(self, org: OrgId, size: int, note: str) -> None:
        await asyncio.to_thread(self._keep, org, size, note)

    async def notes(self, org: OrgId) -> tuple[str, ...]:
        """The shortest ledger's first."""
        return await asyncio.to_thread(self._notes, org)

    def _keep(self, org: OrgId, size: int, note: str) -> None:
        folder = self._root / org.shown
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".writing-", encoding="utf-8") as draft:
            draft.write(note)
            draft.flush()
            os.fsync(draft.fileno())
            place = folder / f"{size:016d}.note"
            if not place.exists():
                os.link(draft.name, place)
        for old in self._files(org)[:-_KEPT]:
            old.unlink(missing_ok=True)

    def _notes(self, org: OrgId) -> tuple[str, ...]:
        return tuple(file.read_bytes()[:_LIMIT].decode(errors="replace") for file in self._files(org))

    def _files(self, org: OrgId) -> list[Path]:
        return sorted((self._root / org.shown).glob("*.note"))
