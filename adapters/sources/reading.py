"""Reads a request item by item, and JSON of which nothing is known: whatever is there is taken, whatever is not is None."""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import JsonValue, ValidationError

from domain.inbound import Parsed, Refused
from domain.signal import Signal

Item = TypeVar("Item")
DEEPEST = 16
MOST = 10_000
"""How many items of a request are read."""

_TOO_DEEP = "nested too deeply"


class UnreadableError(Exception):
    """Why something could not be understood, in words that repeat nothing of it."""


def read_each(items: Callable[[], Iterable[Item]], read: Callable[[Item], Signal | None]) -> Parsed:
    """Every item read on its own, up to `MOST` of them.

    `items` may refuse the request whole; `read` answers None where there is nothing to see.
    """
    signals: list[Signal] = []
    refused: list[Refused] = []
    try:
        found = list(items())
    except UnreadableError as error:
        return Parsed(refused=(Refused(index=0, reason=str(error)),))
    except RecursionError:
        return Parsed(refused=(Refused(index=0, reason=_TOO_DEEP),))
    for index, item in enumerate(found[:MOST]):
        try:
            signal = read(item)
        except UnreadableError as error:
            refused.append(Refused(index=index, reason=str(error)))
        except RecursionError:
            refused.append(Refused(index=index, reason=_TOO_DEEP))
        except ValidationError:
            refused.append(Refused(index=index, reason="does not fit into a signal"))
        else:
            signals += [signal] if signal else []
    refused += _unread(len(found) - MOST)
    return Parsed(signals=tuple(signals), refused=tuple(refused))


def _unread(beyond: int) -> list[Refused]:
    """What is not even looked at, once each."""
    return [Refused(index=MOST, reason=f"expected at most {MOST} items: send fewer at once")] * max(beyond, 0)


def json_of(body: bytes) -> JsonValue:
    """The JSON in `body`, UTF-8; of a name that is given twice the last counts, and NaN is nothing.

    Raises:
        UnreadableError: it is no JSON, or none that anybody means.
    """
    try:
        value: JsonValue = json.loads(body.decode("utf-8-sig"), parse_constant=lambda _: None)
    except UnicodeDecodeError:
        raise UnreadableError("the body is not UTF-8") from None
    except RecursionError:
        raise UnreadableError(_TOO_DEEP) from None
    except ValueError:
        raise UnreadableError("the body is not JSON") from None
    return value


def object_of(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`.

    Raises:
        UnreadableError: it is something else.
    """
    return expected_object(json_of(body))


def expected_object(value: object) -> dict[str, Any]:
    """`value` itself.

    Raises:
        UnreadableError: it is no object.
    """
    if not isinstance(value, dict):
        raise UnreadableError("expected a JSON object")
    return value


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def at(value: object, *names: str) -> Any:
    """What lies behind these names, one inside the other; None if the way ends earlier."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: object) -> str | None:
    """A text that says something, or a number as text."""
    match value:
        case str():
            return value if value.strip() else None
        case bool():
            return None
        case int() | float():
            return str(value)
    return None


def first(*values: object) -> str | None:
    """The first of these that is a text."""
    return next((found for value in values if (found := text(value))), None)


def number(value: object) -> float | None:
    """A finite number, or a text that writes one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """An integer of at most 64 bits, or a text that writes one, as protobuf's JSON does."""
    if isinstance(value, str):
        value = int(value) if len(value) <= 20 and value.isascii() and value.removeprefix("-").isdigit() else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**64 else None
