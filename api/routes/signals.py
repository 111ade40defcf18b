"""Signals in batches: every item is stored or refused on its own, and durable when answered."""

from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import APIRouter, Response
from pydantic import Field, JsonValue

from api.deps import (
    BatchOut,
    BatchRoute,
    Caller,
    Flaw,
    ItemOut,
    Items,
    ItemStatus,
    Moment,
    Services,
    Short,
    answer,
    batch_of,
    guarded,
    read,
)
from domain.base import Value, WorkflowId
from domain.errors import NotFoundError, StoppedError, UnavailableError
from domain.signal import Signal, SignalKind, Text
from services.intake import Received, Refusal

router = APIRouter(prefix="/signals", tags=["signals"], route_class=BatchRoute)


class SignalIn(Value):
    """One signal. `id` is the sender's own name for it: the same one again is known and not stored twice."""

    id: Short | None = None
    source: Short = "api"
    kind: SignalKind
    ts: Moment | None = None
    event_type: Short | None = None
    key: Short = ""
    value: float | None = Field(default=None, allow_inf_nan=False)
    text: Text | None = None
    service: Short | None = None
    environment: Short | None = None
    severity: Short | None = None
    workflow_id: WorkflowId | None = None
    correlation_id: Short | None = None
    trace_id: Short | None = None
    labels: dict[Short, Short] = Field(default_factory=dict, max_length=64)
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    meta: dict[str, JsonValue] = Field(default_factory=dict)

    def signal(self, *, now: datetime) -> Signal:
        """What is stored; a signal that does not say when it happened happened now."""
        said = {name: value for name, value in vars(self).items() if name not in ("id", "ts")}
        return Signal(ts=self.ts or now, idempotency_key=self.id, **said)


@router.post(
    "/ingest",
    **batch_of(
        SignalIn, guarded("event.write", NotFoundError, StoppedError, UnavailableError, answers={207: "some items are refused"})
    ),
)
async def ingest(items: Items, response: Response, caller: Caller, services: Services) -> BatchOut:
    """A JSON list, or a line of JSON for each signal (`application/x-ndjson`), either of them gzip if you like.

    207 when some items are refused, 422 when all are; the others are durable.
    """
    now = datetime.now(UTC)
    sent = read(SignalIn, items)
    received = iter(await services.intake.ingest(caller, [each.signal(now=now) for each in sent if isinstance(each, SignalIn)]))
    return answer(response, [_told(index, each, received) for index, each in enumerate(sent)])


def _told(index: int, sent: SignalIn | ItemOut, received: Iterator[Received | Refusal]) -> ItemOut:
    if isinstance(sent, ItemOut):
        return sent
    match next(received):
        case Refusal() as refusal:
            return ItemOut.refused(Flaw(pointer=f"/{index}{refusal.pointer}", code=refusal.code, message=refusal.message))
        case Received() as taken:
            return ItemOut(status=ItemStatus(taken.status), event_id=taken.event_id)
