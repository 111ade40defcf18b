"""An idempotency store that keeps its keys in a dictionary."""

from domain.base import Digest
from domain.idempotency import Answer, Begun, Fresh, KeyScope, Mismatch, Replay, Running


class FakeStore:
    def __init__(self) -> None:
        self.rows: dict[KeyScope, tuple[Digest, Answer | None]] = {}

    async def begin(self, scope: KeyScope, digest: Digest) -> Begun:
        if scope not in self.rows:
            self.rows[scope] = (digest, None)
            return Fresh()
        known, answer = self.rows[scope]
        if known != digest:
            return Mismatch()
        return Replay(answer=answer) if answer else Running()

    async def finish(self, scope: KeyScope, answer: Answer) -> None:
        self.rows[scope] = (self.rows[scope][0], answer)

    async def abandon(self, scope: KeyScope) -> None:
        del self.rows[scope]
