"""What another system sent us over HTTP, and what its parser makes of it."""

from pydantic import Field

from domain.base import Instant, Value
from domain.signal import Signal


class Inbound(Value):
    """One request as it came: nothing of it is trusted but when it did. Header names are lower case.

    `tail` is the path, or what of it is the sender's own.
    """

    arrived: Instant
    headers: dict[str, str] = Field(default_factory=dict)
    query: dict[str, str] = Field(default_factory=dict)
    tail: str = ""
    body: bytes = b""


class MappingFlaw(Value):
    """What is wrong with the mapping of a connector, and where: a JSON pointer into it."""

    pointer: str
    reason: str


class Refused(Value):
    """An item that could not be understood: its place in the request, counted from 0, and why."""

    index: int
    reason: str


class Parsed(Value):
    """What a request holds: an item is understood or refused, each on its own; a request that is no such thing, whole.

    A signal's `idempotency_key` is the sender's own identity of it, so that a repeated delivery is known; its `key` names
    what it is about, equal for the beginning and the end of one alert. `event_type` ends in `.firing` or `.resolved` for
    whatever can end. `left_out` is how many items the sender says that it has and did not send.
    """

    signals: tuple[Signal, ...] = ()
    refused: tuple[Refused, ...] = ()
    left_out: int = 0


class Taken(Value):
    """What came of a request, item by item in numbers; `left_out` are those that the sender did not send."""

    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    reason: str | None = None
    left_out: int = 0


class Reply(Value):
    """What the sender's own protocol wants to hear."""

    status: int = 202
    media: str = "application/json"
    body: bytes = b""
