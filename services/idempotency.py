"""Idempotency keys in PostgreSQL: one of many concurrent requests with a new key is served, the others are told."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.base import Digest
from domain.errors import ConflictError
from domain.idempotency import Answer, Begun, Fresh, KeyScope
from storage import idempotency as store
from storage.engine import Database, repeatable

Work = Callable[[], Awaitable[Answer | None]]

KEPT_FOR = timedelta(hours=24)
ANSWERED_WITHIN = timedelta(seconds=60)


class IdempotencyKeys:
    """A key without an answer after a minute had a server that crashed: the next request with it is served."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, scope: KeyScope, digest: Digest) -> Begun:
        """`Fresh` for the one who is to serve the request."""

        async def work(session: AsyncSession) -> Begun:
            return (
                await store.add(session, scope, digest)
                or await store.take_over(session, scope, digest, kept_for=KEPT_FOR, answered_within=ANSWERED_WITHIN)
                or await store.look(session, scope, digest)
            )

        return await self._database.retrying(scope.org, work)

    @repeatable
    async def at_once(self, scope: KeyScope, fresh: Fresh, work: Work) -> bool:
        """Whether `work` gave an answer to keep; all that it changes and that answer are committed at once, or not at all.

        Raises:
            ConflictError: the key was taken over meanwhile; nothing has been changed.
        """
        async with self._database.together(scope.org):
            return await self.in_turn(scope, fresh, work)

    async def in_turn(self, scope: KeyScope, fresh: Fresh, work: Work) -> bool:
        """As `at_once`, for work that has to commit by itself: if its answer gets lost, a repeat does the work again.

        Raises:
            ConflictError: the key was taken over meanwhile.
        """
        answer = await work()
        if answer is None:
            return False
        await self.finish(scope, fresh, answer)
        return True

    @repeatable
    async def finish(self, scope: KeyScope, fresh: Fresh, answer: Answer) -> None:
        """Keep the answer.

        Raises:
            ConflictError: the key was taken over meanwhile.
        """
        async with self._database.transaction(scope.org) as session:
            if not await store.finish(session, scope, fresh, answer):
                raise ConflictError("another request with this key has taken its place")

    @repeatable
    async def abandon(self, scope: KeyScope, fresh: Fresh) -> None:
        """The request came to nothing that is worth repeating."""
        async with self._database.transaction(scope.org) as session:
            await store.remove(session, scope, fresh)
