"""How durations and sizes are written in files and in JSON: `500ms`, `60s`, `24h`, `512MiB`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = r"^(0|[1-9][0-9]{0,8})(ms|s|m|h|d)$"
_SIZE = r"^[1-9][0-9]{0,8}(KiB|MiB|GiB)$"
_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_SIZES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(_DURATION, value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("expected a duration like 500ms, 60s, 2m, 24h or 7d")
    return timedelta(milliseconds=int(found[1]) * _UNITS[found[2]])


def duration_text(value: timedelta) -> str:
    """The shortest way to write `value`, down to milliseconds."""
    count = value // timedelta(milliseconds=1)
    unit = next(unit for unit, size in _UNITS.items() if count % size == 0) if count else "s"
    return f"{count // _UNITS[unit]}{unit}"


def _size(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(_SIZE, value):
        raise ValueError("expected a size like 512MiB")
    return int(value[:-3]) * _SIZES[value[-3:]]


def _size_text(value: int) -> str:
    unit = next(unit for unit, size in _SIZES.items() if value % size == 0)
    return f"{value // _SIZES[unit]}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _DURATION, "examples": ["60s", "24h"]}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(_size_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _SIZE, "examples": ["512MiB"]}),
]
