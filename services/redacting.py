"""What is taken out of an org's signals: read by whatever stores them, and set by its admins."""

import asyncio
import time
from collections import OrderedDict

from sqlalchemy.ext.asyncio import AsyncSession

from domain.actor import Actor
from domain.base import OrgId
from domain.errors import InvalidError
from domain.identity import Caller
from domain.redaction import RedactionPolicy
from services.ledger import Ledger
from services.ports import Redactor, Redactors
from storage import redaction as store
from storage.engine import Database, repeatable

REMEMBERED_S = 2.0
"""A policy counts for everything that arrives so long after it was set."""
_MOST_ORGS = 1_024


class Redacting:
    def __init__(self, database: Database, ledger: Ledger, redactors: Redactors) -> None:
        self._database = database
        self._ledger = ledger
        self._redactors = redactors
        self._known: OrderedDict[OrgId, tuple[float, RedactionPolicy]] = OrderedDict()

    async def of(self, org: OrgId) -> Redactor:
        """The org's redactor, by a policy that was true within the last `REMEMBERED_S`.

        Raises:
            UnavailableError: nobody knows its policy now, so nothing can be stored.
        """
        if not self._is_known(org):
            async with self._database.transaction(org) as session:
                return await self.within(session, org)
        return self._redactors.of(org, self._known[org][1])

    async def within(self, session: AsyncSession, org: OrgId) -> Redactor:
        """As `of`, in the caller's transaction: whoever holds a connection waits for no second one."""
        if not self._is_known(org):
            self._known[org] = time.monotonic(), await store.get(session)
            self._known.move_to_end(org)
            if len(self._known) > _MOST_ORGS:
                self._known.popitem(last=False)
        return self._redactors.of(org, self._known[org][1])

    def _is_known(self, org: OrgId) -> bool:
        return org in self._known and time.monotonic() - self._known[org][0] <= REMEMBERED_S

    async def policy(self, caller: Caller) -> RedactionPolicy:
        async with self._database.transaction(caller.org) as session:
            return await store.get(session)

    async def put(self, caller: Caller, wanted: RedactionPolicy) -> RedactionPolicy:
        """In place of the one before; what is stored already stays as it is.

        Raises:
            InvalidError: a pattern is none of RE2, or finds the empty text.
        """
        flaw = await asyncio.to_thread(self._redactors.flaw, wanted)
        if flaw is not None:
            raise InvalidError(flaw.reason, pointer=flaw.pointer)
        return await self._put(caller, wanted)

    @repeatable
    async def _put(self, caller: Caller, wanted: RedactionPolicy) -> RedactionPolicy:
        async with self._database.transaction(caller.org) as session:
            before = await store.get(session)
            await store.put(session, caller.org, wanted)
            await self._ledger.append(
                session,
                caller.org,
                "redaction.changed",
                actor=Actor.calling(caller),
                resource_type="redaction",
                resource_id=caller.org.shown,
                before=before.model_dump(mode="json"),
                after=wanted.model_dump(mode="json"),
            )
        self._known.pop(caller.org, None)
        return wanted
