"""Idempotency keys in PostgreSQL: one of many concurrent requests with a new key is served, the others are told."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import Digest
from domain.idempotency import Answer, Begun, Fresh, KeyScope
from storage import idempotency as store
from storage.engine import Database, repeatable

KEPT_FOR = timedelta(hours=24)
ANSWERED_WITHIN = timedelta(seconds=60)


class IdempotencyKeys:
    """A key without an answer after a minute had a server that crashed: the next request with it is served."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, scope: KeyScope, digest: Digest) -> Begun:
        """`Fresh` for the one who is to serve the request."""

        async def work(session: AsyncSession) -> Begun:
            if await store.add(session, scope, digest):
                return Fresh()
            if await store.take_over(session, scope, digest, kept_for=KEPT_FOR, answered_within=ANSWERED_WITHIN):
                return Fresh()
            return await store.look(session, scope, digest)

        return await self._database.retrying(scope.org, work)

    @repeatable
    async def finish(self, scope: KeyScope, answer: Answer) -> None:
        """The first answer stays."""
        async with self._database.transaction(scope.org) as session:
            await store.finish(session, scope, answer)

    @repeatable
    async def abandon(self, scope: KeyScope) -> None:
        """The request came to nothing that is worth repeating."""
        async with self._database.transaction(scope.org) as session:
            await store.remove(session, scope)
