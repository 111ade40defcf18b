"""Log lines are JSON, one event per line, with org, trace and correlation id and without secrets, whatever is logged."""

import json
import logging
import math
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from adapters.redaction import HIDDEN, is_secret_name, redact
from domain.trace import current_trace

_LONGEST = 4096
_MOST_FIELDS = 50
_DEEPEST = 4
_MOST_FRAMES = 20
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def configure(stream: TextIO, *, level: int = logging.INFO) -> None:
    """Send every logger's lines to `stream` as JSON; servers that bring handlers of their own lose them."""
    handler = JsonHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes lines; a record that cannot be written becomes one fixed line instead of a traceback with values."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is logging's)
        try:
            self.stream.write('{"level":"error","event":"a log record could not be written"}\n')
            self.flush()
        except (OSError, ValueError):
            return  # the stream is gone: there is nowhere left to say so


class JsonFormatter(logging.Formatter):
    """One ASCII line per record: line ends, escape codes and unencodable text stay inside a JSON string."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "event": _text(record.getMessage())}
        line |= _trace_fields() | _error_fields(record)
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD and name not in line}
        fields = {_text(str(name)): _field(str(name), value) for name, value in list(extra.items())[:_MOST_FIELDS]}
        return json.dumps(fields | line, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")


def _trace_fields() -> dict[str, Any]:
    trace = current_trace.get()
    if trace is None:
        return {}
    org = {"org": trace.org.shown} if trace.org else {}
    return org | {"trace_id": trace.trace_id, "correlation_id": trace.correlation_id}


def _error_fields(record: logging.LogRecord) -> dict[str, Any]:
    """The class and where it came from; the message stays out, for it may hold what was submitted."""
    if not record.exc_info or record.exc_info[1] is None:
        return {}
    error = record.exc_info[1]
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    return {"error": type(error).__name__, "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]}


def _field(name: str, value: Any, depth: int = 0) -> Any:
    if is_secret_name(name):
        return HIDDEN
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {_text(str(key)): _field(str(key), item, depth + 1) for key, item in list(value.items())[:_MOST_FIELDS]}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_field("", item, depth + 1) for item in list(value)[:_MOST_FIELDS]]
    return value if _is_plain(value) else _text(str(value))


def _is_plain(value: Any) -> bool:
    """Whether JSON can hold it as it is; an enum member is shown by its text."""
    whole = type(value) is int and abs(value) < 2**63
    return value is None or isinstance(value, bool) or whole or (type(value) is float and math.isfinite(value))


def _text(text: str) -> str:
    clean = redact(text[: 2 * _LONGEST])  # redacted before it is cut, or half a secret could stay
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"
