"""An idempotency store that keeps its keys in a dictionary."""

from datetime import UTC, datetime

from api.idempotency import Work
from domain.base import Digest
from domain.idempotency import Answer, Begun, Fresh, KeyScope, Mismatch, Replay, Running

FRESH = Fresh(since=datetime(2026, 1, 1, tzinfo=UTC))


class FakeStore:
    def __init__(self) -> None:
        self.rows: dict[KeyScope, tuple[Digest, Answer | None]] = {}

    async def begin(self, scope: KeyScope, digest: Digest) -> Begun:
        if scope not in self.rows:
            self.rows[scope] = (digest, None)
            return FRESH
        known, answer = self.rows[scope]
        if known != digest:
            return Mismatch()
        return Replay(answer=answer) if answer else Running()

    async def at_once(self, scope: KeyScope, fresh: Fresh, work: Work) -> bool:
        return await self.in_turn(scope, fresh, work)

    async def in_turn(self, scope: KeyScope, fresh: Fresh, work: Work) -> bool:
        answer = await work()
        if answer is not None:
            self.rows[scope] = (self.rows[scope][0], answer)
        return answer is not None

    async def abandon(self, scope: KeyScope, fresh: Fresh) -> None:
        del self.rows[scope]
