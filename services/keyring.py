"""Data keys of orgs and of the platform: unwrapped on demand, remembered for a minute."""

import secrets
import time
from collections import OrderedDict
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import OrgId
from domain.errors import NotFoundError
from domain.ledger import PLATFORM
from services.ports import Kms
from storage import keys as store
from storage.engine import Database, new_id

_REMEMBERED_FOR = timedelta(seconds=60)
_REMEMBERED = 1024
_CURRENT = ""


class OrgKeyring:
    """What the payload codec and the sealed columns encrypt with; `None` is the platform."""

    def __init__(self, database: Database, kms: Kms, *, remembered_for: timedelta = _REMEMBERED_FOR) -> None:
        self._database = database
        self._kms = kms
        self._remembered_for = remembered_for.total_seconds()
        self._known: OrderedDict[tuple[OrgId | None, str], tuple[float, str, bytes]] = OrderedDict()

    async def current(self, org: OrgId | None) -> tuple[str, bytes]:
        """The id of the key to encrypt with, and the key.

        Raises:
            NotFoundError: the org has none.
        """
        return await self._remembered(org, _CURRENT)

    async def get(self, org: OrgId | None, key_id: str) -> bytes:
        """Raises NotFoundError: the org has no such key."""
        return (await self._remembered(org, key_id or "none"))[1]

    async def add(self, session: AsyncSession, org: OrgId | None) -> str:
        """Make a fresh key the current one, in the caller's transaction; older ones still decrypt."""
        key_id, key = (await new_id(session)).hex, secrets.token_bytes(32)
        await store.add(session, org, store.WrappedKey(id=key_id, wrapped=await self._kms.wrap(key, _context(org, key_id))))
        self.forget(org)
        return key_id

    def forget(self, org: OrgId | None) -> None:
        """Ask the database again which key is current."""
        self._known.pop((org, _CURRENT), None)

    async def _remembered(self, org: OrgId | None, key_id: str) -> tuple[str, bytes]:
        known = self._known.get((org, key_id))
        if known is None or known[0] < time.monotonic():
            known = (time.monotonic() + self._remembered_for, *await self._unwrapped(org, key_id))
            self._known[org, key_id] = known
            self._known.move_to_end((org, key_id))
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known[1:]

    async def _unwrapped(self, org: OrgId | None, key_id: str) -> tuple[str, bytes]:
        async with self._database.transaction(org or PLATFORM) as session:
            found = await (store.current(session, org) if key_id == _CURRENT else store.get(session, org, key_id))
        if found is None:
            raise NotFoundError(f"{org.shown if org else 'the platform'} has no such data key")
        return found.id, await self._kms.unwrap(found.wrapped, _context(org, found.id))


def _context(org: OrgId | None, key_id: str) -> bytes:
    """A wrapped key unwraps only as the key it was made to be."""
    return f"suture data key|{org.shown if org else 'platform'}|{key_id}".encode()
