"""Several items in one body, each of which is taken or refused on its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, TypeVar, cast

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from api.body import JSON, MOST_ITEMS, NDJSON, Item, StrictRequest
from api.errors import MalformedError
from api.idempotency import KeyedRoute
from api.problems import BatchRefusedError, Flaw, item_flaws
from domain.base import SignalId, Value
from domain.errors import InvalidError

V = TypeVar("V", bound=Value)


class BatchRoute(KeyedRoute):
    """Takes a JSON list, or a line of JSON for each item."""

    media: ClassVar[frozenset[str]] = frozenset({JSON, NDJSON})


class ItemStatus(StrEnum):
    STORED = "stored"
    COUNTED = "counted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ItemOut:
    """What became of the item in the same place of the batch."""

    status: ItemStatus
    event_id: SignalId | None = None
    errors: tuple[Flaw, ...] = ()

    @classmethod
    def refused(cls, *flaws: Flaw) -> "ItemOut":
        return cls(status=ItemStatus.REFUSED, errors=flaws)


class BatchOut(Value):
    items: tuple[ItemOut, ...]
    stored: int
    counted: int
    duplicates: int
    refused: int


async def items_of(request: Request) -> list[Item]:
    """Raises InvalidError: no list, an empty one, or one of more than `MOST_ITEMS` items."""
    found = cast(StrictRequest, request).batch
    if not 1 <= len(found) <= MOST_ITEMS:
        raise InvalidError(f"expected 1 to {MOST_ITEMS} items")
    return found


Items = Annotated[list[Item], Depends(items_of)]


def batch_of(item: type[Value], guard: dict[str, Any]) -> dict[str, Any]:
    """A guarded route whose body is a batch, with what the document says of it."""
    schema = item.model_json_schema()
    content = {JSON: {"schema": {"type": "array", "items": schema}}, NDJSON: {"schema": schema}}
    return guard | {"openapi_extra": guard["openapi_extra"] | {"requestBody": {"required": True, "content": content}}}


def read(kind: type[V], items: Sequence[Item]) -> list[V | ItemOut]:
    """Each item as `kind`, or refused with what is wrong with it."""
    return [_read(kind, index, item) for index, item in enumerate(items)]


def answer(response: Response, items: Sequence[ItemOut]) -> BatchOut:
    """200, or 207 when some items are refused.

    Raises:
        BatchRefusedError: all are, so that a sender who looks at the status alone hears of it.
    """
    counts = {status: sum(each.status is status for each in items) for status in ItemStatus}
    refused = counts[ItemStatus.REFUSED]
    if refused == len(items):
        raise BatchRefusedError(tuple(flaw for each in items for flaw in each.errors))
    response.status_code = 207 if refused else 200
    return BatchOut(
        items=tuple(items),
        stored=counts[ItemStatus.STORED],
        counted=counts[ItemStatus.COUNTED],
        duplicates=counts[ItemStatus.DUPLICATE],
        refused=refused,
    )


def _read(kind: type[V], index: int, item: Item) -> V | ItemOut:
    if isinstance(item, MalformedError):
        return ItemOut.refused(*item_flaws(item, index))
    try:
        return kind.model_validate(item)
    except ValidationError as error:
        return ItemOut.refused(*item_flaws(error, index))
