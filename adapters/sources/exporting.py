"""How OTLP's exporters are answered, in the form they sent: how many items were rejected, or that nothing could be read."""

from typing import ClassVar

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.code_pb2 import INVALID_ARGUMENT
from google.rpc.status_pb2 import Status

from adapters.sources.answering import Answering
from adapters.sources.otlp import body_of
from adapters.sources.reading import UnreadableError
from domain.inbound import Inbound, Reply, Taken

_JSON, _PROTOBUF = "application/json", "application/x-protobuf"


class Exporting(Answering):
    """`request` and `response` are the protocol's own, `rejected` its field for the number of items that were not taken.

    A request that cannot be read is 400, after which nobody sends it again.
    """

    belongs_to: str | None = "otlp"
    request: ClassVar[type[Message]]
    response: ClassVar[type[Message]]
    rejected: ClassVar[str]

    def reply(self, inbound: Inbound, taken: Taken) -> Reply:
        if flaw := self._flaw(inbound, taken):
            return _reply(inbound, Status(code=INVALID_ARGUMENT, message=flaw), status=400)
        answer = self.response()
        if taken.refused:
            partial = answer.partial_success  # type: ignore[attr-defined]
            setattr(partial, self.rejected, taken.refused)
            partial.error_message = taken.reason or "some items are not understood"
        return _reply(inbound, answer, status=200)

    def _flaw(self, inbound: Inbound, taken: Taken) -> str | None:
        """Why the request as a whole could not be read, if it could not."""
        if taken.stored or taken.duplicates or taken.refused != 1:
            return None
        try:
            body_of(inbound, self.request)
        except (UnreadableError, RecursionError):
            return taken.reason
        return None


def _reply(inbound: Inbound, answer: Message, *, status: int) -> Reply:
    if "json" in inbound.headers.get("content-type", "").lower():
        return Reply(status=status, media=_JSON, body=MessageToJson(answer, indent=None).encode())
    return Reply(status=status, media=_PROTOBUF, body=answer.SerializeToString())
