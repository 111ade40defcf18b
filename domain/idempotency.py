"""What a store says about an Idempotency-Key: begun now, answered before, still running, or meant for another request."""

from pydantic import Field

from domain.base import Instant, OrgId, PrincipalId, Value


class KeyScope(Value):
    """Where a key counts: the same letters under another org, principal or route are another key."""

    org: OrgId
    principal: PrincipalId
    route: str
    key: str = Field(min_length=1, max_length=255)


class Answer(Value):
    """A stored HTTP answer; the body is text because every stored answer is JSON or empty."""

    status: int = Field(ge=200, le=499)
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


class Fresh(Value):
    """Nobody held the key: it is the caller's, since then, until it is answered, given back, or taken over by a later one."""

    since: Instant


class Replay(Value):
    """The same request was answered before."""

    answer: Answer


class Running(Value):
    """The same request is being served right now."""


class Mismatch(Value):
    """The key belongs to another request."""


Begun = Fresh | Replay | Running | Mismatch
