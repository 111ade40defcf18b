"""How OTLP's exporters are answered: in the form they sent, with how many items were rejected, at 200."""

from typing import ClassVar

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from adapters.sources.answering import Answering
from domain.inbound import Inbound, Reply, Taken

_JSON, _PROTOBUF = "application/json", "application/x-protobuf"


class Exporting(Answering):
    """`response` is the protocol's own answer, `rejected` its field for the number of items that were not taken."""

    belongs_to: str | None = "otlp"
    response: ClassVar[type[Message]]
    rejected: ClassVar[str]

    def reply(self, inbound: Inbound, taken: Taken) -> Reply:
        answer = self.response()
        if taken.refused:
            partial = answer.partial_success  # type: ignore[attr-defined]
            setattr(partial, self.rejected, taken.refused)
            partial.error_message = taken.reason or "some items are not understood"
        if "json" in inbound.headers.get("content-type", "").lower():
            return Reply(status=200, media=_JSON, body=MessageToJson(answer, indent=None).encode())
        return Reply(status=200, media=_PROTOBUF, body=answer.SerializeToString())
