"""Decode payloads for the engine's Web UI: only those of the caller's org, and never the other way."""

from collections.abc import Sequence
from typing import Protocol

from domain.base import OrgId
from domain.errors import ForbiddenError
from domain.identity import Caller
from domain.wire import WirePayload


class PayloadDecoder(Protocol):
    def owner(self, payload: WirePayload) -> OrgId | None:
        """Whose payload it is; None for the platform's."""

    async def decode(self, payload: WirePayload) -> WirePayload: ...


class Decoding:
    def __init__(self, decoder: PayloadDecoder) -> None:
        self._decoder = decoder

    async def decode(self, caller: Caller, payloads: Sequence[WirePayload]) -> list[WirePayload]:
        """Raises ForbiddenError: one of them is not of the caller's org."""
        if any(self._decoder.owner(payload) != caller.org for payload in payloads):
            raise ForbiddenError("the payload belongs to another org")
        return [await self._decoder.decode(payload) for payload in payloads]
