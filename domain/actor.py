"""Who an audit entry names: a person, a service account or the system itself."""

from typing import Self

from domain.base import ConnectorId, Value
from domain.identity import Caller, Principal
from domain.ledger import ActorType, Word


class Actor(Value):
    kind: ActorType
    id: Word

    @classmethod
    def of(cls, principal: Principal) -> Self:
        kind = ActorType.PERSON if principal.is_person else ActorType.SERVICE_ACCOUNT
        return cls(kind=kind, id=principal.id.shown)

    @classmethod
    def calling(cls, caller: Caller) -> Self:
        return cls.of(caller.principal)

    @classmethod
    def sending(cls, connector: ConnectorId) -> Self:
        """A sender outside, known by its connector's secret."""
        return cls(kind=ActorType.SERVICE_ACCOUNT, id=connector.shown)

    @classmethod
    def part(cls, name: str) -> Self:
        """A part of the system that acts on its own: `monitor`, `relay`, `upkeep`."""
        return cls(kind=ActorType.SYSTEM, id=name)


SYSTEM = Actor(kind=ActorType.SYSTEM, id="suture")
PROVISION = Actor(kind=ActorType.SYSTEM, id="provision")
