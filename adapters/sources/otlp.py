"""What the three signals of OTLP share: JSON or protobuf in, resources and scopes, attributes, ids in hexadecimal."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from adapters.sources.fitting import identity, shown
from adapters.sources.reading import DEEPEST, UnreadableError, at, first, listed, object_of, whole
from adapters.sources.times import instant
from adapters.sources.words import environment_of
from domain.base import Instant
from domain.inbound import Inbound

_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_LONG = 255


@dataclass(frozen=True)
class Origin:
    """Who observed something: a resource and, inside it, an instrumentation scope."""

    attributes: Mapping[str, Any]
    scope: str | None
    service: str | None
    environment: str | None
    digest: str


def body_of(inbound: Inbound, message: type[Message]) -> dict[str, Any]:
    """The request in the form of OTLP's JSON, whichever way it came.

    Raises:
        UnreadableError: it is neither.
    """
    content_type = inbound.headers.get("content-type", "").lower()
    if "json" in content_type or ("protobuf" not in content_type and inbound.body.lstrip()[:1] == b"{"):
        return object_of(inbound.body)
    request = message()
    try:
        request.ParseFromString(inbound.body)
    except DecodeError:
        raise UnreadableError("the body is not the protobuf message of this path") from None
    return as_json(request)


def as_json(message: Message) -> dict[str, Any]:
    """What is set, by the names of OTLP's JSON; integers stay integers, ids are written in hexadecimal."""
    return {
        field.json_name: _as_json(value, is_id=field.name.endswith("_id"), is_list=field.is_repeated)
        for field, value in message.ListFields()
    }


def _as_json(value: Any, *, is_id: bool, is_list: bool) -> Any:
    if is_list:
        return [as_json(each) if isinstance(each, Message) else each for each in value]
    if isinstance(value, Message):
        return as_json(value)
    if isinstance(value, bytes):
        return value.hex() if is_id else base64.b64encode(value).decode()
    return value


def scoped(body: Mapping[str, Any], *, resources: str, scopes: str, items: str) -> Iterator[tuple[Origin, Any]]:
    """Every item with its origin, in the order of the request."""
    for resource in listed(body.get(resources)):
        attributes = _known(attributes_of(at(resource, "resource", "attributes")))
        digest = identity(attributes)
        for scope in listed(at(resource, scopes)):
            origin = Origin(
                attributes=attributes,
                scope=first(at(scope, "scope", "name")),
                service=first(attributes.get("service.name"), attributes.get("k8s.deployment.name")),
                environment=environment_of(attributes),
                digest=digest,
            )
            for item in listed(at(scope, items)):
                yield origin, item


def attributes_of(attributes: object) -> dict[str, Any]:
    """The attributes by name, their values plain; of a name that is given twice the last counts."""
    return _named(attributes, DEEPEST)


def plain(value: object, deepest: int = DEEPEST) -> Any:
    """An `AnyValue` as plain JSON; what lies too deep is left out."""
    if isinstance(value, dict) and isinstance(text := value.get("stringValue"), str):
        return text
    match value:
        case {"boolValue": bool(answer)}:
            return answer
        case {"intValue": int() | str() as number}:
            return whole(number) if isinstance(number, str) else number
        case {"doubleValue": float() | int() | str() as number}:
            return number
        case {"arrayValue": dict(array)} if deepest > 0:
            return [plain(each, deepest - 1) for each in listed(array.get("values"))]
        case {"kvlistValue": dict(pairs)} if deepest > 0:
            return _named(pairs.get("values"), deepest - 1)
        case {"bytesValue": str(encoded)}:
            return encoded
    return None


def said(body: object) -> str | None:
    """A log's body as text."""
    content = plain(body)
    return None if content is None else shown(content)


def labels_of(origin: Origin, attributes: Mapping[str, Any], **others: object) -> dict[str, object]:
    """Labels of the item and of who observed it; where both name the same, the item's own counts."""
    return {**origin.attributes, "otel.scope": origin.scope, **attributes, **others}


def long_ones(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The attributes that no label can hold whole."""
    found = {name: value for name, value in attributes.items() if _is_long(value)}
    return found or None


def hex_id(value: object, *, digits: int) -> str | None:
    """An id in lower case; None if it is no such id, or all zeros, which means none."""
    word = value.lower() if isinstance(value, str) and len(value) == digits else ""
    return word if _HEX.fullmatch(word) and word.strip("0") else None


def time_of(*counts: object) -> Instant | None:
    """The first of these counts of nanoseconds since 1970 that is a time."""
    return next((read for count in counts if (read := instant(whole(count)))), None)


def _known(attributes: dict[str, Any]) -> dict[str, Any]:
    """Without the name that a program gives itself when nobody gave it one."""
    name = attributes.get("service.name")
    is_unknown = isinstance(name, str) and name.startswith("unknown_service")
    return {key: value for key, value in attributes.items() if key != "service.name"} if is_unknown else attributes


def _named(pairs: object, deepest: int) -> dict[str, Any]:
    found = {}
    for pair in listed(pairs):
        if isinstance(name := at(pair, "key"), str):
            found[name] = plain(pair.get("value"), deepest)
    return found


def _is_long(value: Any) -> bool:
    return len(value) > _LONG if isinstance(value, str) else isinstance(value, dict | list) and bool(value)
