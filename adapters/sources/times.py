"""Reads the times that senders write: RFC 3339 and its relatives, and seconds to nanoseconds since 1970."""

import math
import re
from datetime import UTC, datetime, timedelta

from domain.base import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(2000, 2100)
_MICROSECONDS = range(int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 10**6, 4_102_444_800 * 10**6)
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?", re.ASCII)
_ZONE = re.compile(r"\s+(?=[+-]\d)|\s*(UTC|GMT)$")


def instant(value: object) -> Instant | None:
    """The time that is meant, or None: nothing was sent, no time was meant (the year 0001), or no clock shows such a year.

    A number is read as seconds, milliseconds, microseconds or nanoseconds since 1970, whichever its size allows. A time
    without a zone is taken as UTC.
    """
    match value:
        case bool():
            return None
        case int() | float():
            return _counted(value)
        case str() if _NUMBER.fullmatch(value):
            return _counted(float(value) if "." in value else int(value))
        case str():
            return _written(value)
    return None


def _counted(number: float) -> Instant | None:
    if isinstance(number, float) and not math.isfinite(number):
        return None  # a whole number may be too large to become a float, and is finite
    for unit, last in ((10**6, 10**11), (10**3, 10**14), (1, 10**17)):
        if number < last:
            return _since_1970(round(number * unit))
    return _since_1970(int(number) // 1000)


def _since_1970(microseconds: int) -> Instant | None:
    return _EPOCH + timedelta(microseconds=microseconds) if microseconds in _MICROSECONDS else None


def _written(text: str) -> Instant | None:
    try:
        read = datetime.fromisoformat(_ZONE.sub("", text.strip()[:64]))
    except ValueError:
        return None
    if read.year not in _YEARS:
        return None
    return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
