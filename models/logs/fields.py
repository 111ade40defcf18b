"""The fields of a structured log record, under whichever names its logger has for them.

Names are compared in lower case and without `_`, `-`, `@` and spaces; those of nested objects are joined by dots, and
what only wraps (`attributes`, `jsonPayload`) is left out. Of several names for one thing, the first in its list that is
there counts.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from models.logs.cleaning import clean
from models.logs.levels import Level, of_number, of_otel, of_python, of_syslog, of_word
from models.logs.traces.contract import Frame, Thrown, error_named, said

MOST_FIELDS = 500
DEEPEST = 6
_MOST_PAIRS = 200
_MOST_OBJECTS = 1_000
_LARGEST = 2**63
_IGNORED = str.maketrans("", "", "_-@ $")
_WRAPPERS = frozenset(
    {"attributes", "jsonpayload", "protopayload", "fields", "data", "payload", "record", "context", "extra", "mdc"}
)


def _names(*names: str) -> Mapping[str, None]:
    """Names of one thing, the best first."""
    return dict.fromkeys(names)


_MESSAGE = _names(
    "message", "msg", "event", "log", "body", "body.stringvalue", "text", "textpayload", "shortmessage", "m", "mt",
    "renderedmessage", "messagetemplate", "logmessage", "fullmessage", "event.original", "record.message",
)  # fmt: skip
_LEVEL = _names(
    "level", "severity", "loglevel", "lvl", "levelname", "severitytext", "log.level", "level.name", "syslog.severity.name",
    "log.syslog.severity.name", "l",
)  # fmt: skip
_NUMBERED = (
    ("severitynumber", of_otel), ("levelno", of_python), ("priority", of_syslog), ("log.syslog.severity.code", of_syslog),
    ("level.no", of_python),
)  # fmt: skip
_ERROR = ("exception", "error", "err", "thrown", "cause")
_TYPE = _names(
    *(f"{error}.{name}" for error in _ERROR for name in ("type", "name", "class", "kind", "exctype")),
    "errortype", "exceptiontype", "exctype", "errorname", "exceptionclass",
)  # fmt: skip
_SAID = _names(
    *(f"{error}.{name}" for error in _ERROR for name in ("message", "msg", "excvalue", "value", "description")),
    "errormessage", "errormsg", "errmsg", "excvalue", *_ERROR,
)  # fmt: skip
_STACK = _names(
    *(f"{error}.{name}" for error in _ERROR for name in ("stacktrace", "stack", "trace", "backtrace", "traceback", "frames")),
    "exception.stacktrace.frames", "thrown.extendedstacktrace", "stacktrace", "stack", "trace", "traceback", "backtrace",
    "excinfo", "exctext", "errorverbose", "exceptionstacktrace", "errorstack", "x", "frames", "exception", "error", "err",
)  # fmt: skip
_CODE = _names(
    *(f"{error}.{name}" for error in _ERROR for name in ("code", "errno", "sqlstate")),
    "errorcode", "errcode", "code", "sqlstate", "errno", "event.code", "exitcode",
)  # fmt: skip
_STATUS = _names(
    "statuscode", "status", "http.statuscode", "http.response.statuscode", "httpstatus", "error.status", "err.status"
)
_FILE = _names("code.filepath", "code.file.path", "log.origin.file.name", "sourcelocation.file", "pathname", "filename", "file")
_FUNCTION = _names(
    "code.function", "code.function.name", "log.origin.function", "sourcelocation.function", "funcname", "function"
)
_LINE = _names("code.lineno", "code.line.number", "log.origin.file.line", "sourcelocation.line", "lineno", "line")
_CALLER = re.compile(r"(.{1,300}):(\d{1,9})$")

_PAIR = re.compile(r'(?<![\w.@/-])([A-Za-z_@][\w.@/-]{0,63})=(?:"((?:[^"\\]|\\.)*)"|([^\s"]\S*|(?=\s|$)))')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.){1,4096})" ')
_SAYING = frozenset({*_MESSAGE, *_LEVEL})
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": ""}
_LEAST_PAIRS = 2
_GOOD_STATUS, _BAD_STATUS, _NO_STATUS = 100, 400, 600
_FRAME_FUNCTION = _names("function", "method", "name", "funcname", "func")
_FRAME_CLASS = _names("class", "classname", "module")
_FRAME_FILE = _names("filename", "file", "abspath", "path", "filepath")
_FRAME_LINE = _names("lineno", "line", "linenumber")

Fields = Mapping[str, Any]


def of_json(text: str) -> dict[str, Any] | None:
    """The object that `text` is, or None."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def of_logfmt(line: str) -> dict[str, str] | None:
    """The pairs of a line that begins with one, or with a quoted message, and says with them what a record says; or None."""
    quoted = _QUOTED.match(line)
    first = _PAIR.match(line, quoted.end() if quoted else 0)
    if first is None:
        return None
    pairs = {pair[1]: _value(pair) for pair in islice(_PAIR.finditer(line, first.start()), _MOST_PAIRS)}
    if quoted:
        return {"msg": _unescaped(quoted[1])} | pairs
    return pairs if len(pairs) >= _LEAST_PAIRS and not _SAYING.isdisjoint(map(_plain, pairs)) else None


def of_tail(line: str) -> dict[str, Any] | None:
    """A message, a tab and an object with the other fields, or None."""
    said, _, rest = line.partition("\t{")
    found = of_json(f"{{{rest}") if rest.endswith("}") else None
    return None if found is None else {"msg": said} | found


def flat(fields: Mapping[str, Any]) -> Fields:
    """Each leaf under its path; at most `MOST_FIELDS` of at most `DEEPEST` levels. Lists are leaves."""
    found: dict[str, Any] = {}
    for path, value in islice(_leaves(fields, "", DEEPEST), MOST_FIELDS):
        found.setdefault(path, clean(value) if isinstance(value, str) else value)
    return found


def message(fields: Fields) -> str | None:
    return next(_texts(fields, _MESSAGE), None)


def level(fields: Fields) -> Level | None:
    for value in _found(fields, _LEVEL):
        found = of_number(value) if _is_number(value) else _level_called(value)
        if found is not None:
            return found
    numbered = ((read, fields.get(name)) for name, read in _NUMBERED)
    return next((found for read, value in numbered if (found := _numbered(read, value)) is not None), None)


def code(fields: Fields) -> str | None:
    """An error code, or the status of a request that failed; what tells of success is neither."""
    codes = (str(value).strip() for value in _found(fields, _CODE) if isinstance(value, str) or _is_number(value))
    statuses = (str(value) for value in _found(fields, _STATUS) if _is_number(value) or isinstance(value, str))
    failed = (each for each in statuses if each.isdecimal() and _BAD_STATUS <= int(each[:9]) < _NO_STATUS)
    return next((each for each in codes if each and not _tells_of_success(each)), None) or next(failed, None)


def thrown(fields: Fields) -> Thrown | None:
    kind, text = next(_texts(fields, _TYPE), None), next(_texts(fields, _SAID), None)
    if kind is not None:
        return said(kind, _first_line((text or "").removeprefix(f"{kind}: ")))
    if text is None:
        return None
    return error_named(text) or said("", _first_line(text))


def stack(fields: Fields) -> Iterator[str | list[Any]]:
    """What may be a stack trace: as text, or as a list of frames."""
    for value in _found(fields, _STACK):
        if isinstance(value, str) and "\n" in value:
            yield value
        elif isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            yield clean("\n".join(value))
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            yield value


def frames(items: Sequence[Any]) -> list[Frame]:
    """The frames of a list of objects, innermost first: those of Python's loggers, who say `lineno`, stand the other way."""
    objects = [each for each in items if isinstance(each, dict)][:_MOST_OBJECTS]
    nested = next((each["frames"] for each in objects if isinstance(each.get("frames"), list)), objects)
    objects = [each for each in nested if isinstance(each, dict)][:_MOST_OBJECTS]
    found = [frame for each in objects if (frame := _frame(flat(each))) is not None]
    return found[::-1] if any("lineno" in each for each in objects) else found


def caller(fields: Fields) -> Frame | None:
    """Where the record was written."""
    if isinstance(place := fields.get("caller"), str) and (found := _CALLER.match(place)) is not None:
        return Frame.at("", found[1], found[2])
    function = next(_texts(fields, _FUNCTION), "")
    file, line = next(_texts(fields, _FILE), ""), next(_found(fields, _LINE), None)
    return Frame.at(function, file, line) if file and (function or line is not None) else None


def _leaves(value: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        plain = _plain(str(name))
        here = path if plain in _WRAPPERS and isinstance(inner, dict) else f"{path}.{plain}".lstrip(".")
        if isinstance(inner, dict) and depth > 1:
            yield from _leaves(inner, here, depth - 1)
            continue
        yield here, inner
        if isinstance(inner, list) and inner and isinstance(inner[0], dict) and depth > 1:
            yield from _leaves(inner[0], here, depth - 1)


def _plain(name: str) -> str:
    return name.lower().translate(_IGNORED)


def _found(fields: Fields, names: Mapping[str, None]) -> Iterator[Any]:
    if names.keys().isdisjoint(fields.keys()):
        return iter(())
    return (value for name in names if (value := fields.get(name)) is not None)


def _texts(fields: Fields, names: Mapping[str, None]) -> Iterator[str]:
    return (value for value in _found(fields, names) if isinstance(value, str) and value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def _level_called(value: Any) -> Level | None:
    if not isinstance(value, str):
        return None
    return of_number(int(value)) if value.isdecimal() and len(value) < 4 else of_word(value)


def _numbered(read: Callable[[int], Level | None], value: Any) -> Level | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 4:
        return read(int(value))
    return read(value) if _is_number(value) else None


def _tells_of_success(code: str) -> bool:
    if not code.isdecimal():
        return False
    number = int(code[:9])
    return number == 0 or _GOOD_STATUS <= number < _BAD_STATUS


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _value(pair: re.Match[str]) -> str:
    return pair[3] if pair[2] is None else _unescaped(pair[2])


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)


def _frame(fields: Fields) -> Frame | None:
    function, file = next(_texts(fields, _FRAME_FUNCTION), ""), next(_texts(fields, _FRAME_FILE), "")
    kind = next(_texts(fields, _FRAME_CLASS), "") if not file or "class" in fields else ""
    name = f"{kind}.{function}" if kind else function
    return Frame.at(name, file, next(_found(fields, _FRAME_LINE), None)) if name or file else None
