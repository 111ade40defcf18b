"""How senders are answered: most look at the status alone, and come again after a 429 as well as after a 503."""

from collections.abc import Mapping

from pydantic import JsonValue

from domain.inbound import Inbound, MappingFlaw, Reply, Taken
from domain.signal import Signal


class Answering:
    """What a source inherits unless its protocol wants something else."""

    gives_up_on_429 = False
    can_be_asked = False
    is_fed = False
    belongs_to: str | None = None

    def flaw(self, mapping: Mapping[str, JsonValue]) -> MappingFlaw | None:
        return MappingFlaw(pointer="", reason="expected no mapping: this kind has a form of its own") if mapping else None

    def address(self, inbound: Inbound) -> str | None:
        return None

    def rest(self, inbound: Inbound, base: str) -> str | None:
        return None

    def with_rest(self, inbound: Inbound, answer: bytes) -> Inbound:
        return inbound

    def error_of(self, signal: Signal) -> Mapping[str, JsonValue] | None:
        return None

    def reply(self, inbound: Inbound, taken: Taken) -> Reply:
        return Reply(body=taken.model_dump_json(exclude={"left_out"}).encode())


class Unyielding(Answering):
    """Alertmanager, what is made like it, and others of its kind: only a 5xx is sent again."""

    gives_up_on_429 = True
