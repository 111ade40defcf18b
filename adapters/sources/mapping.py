"""The mapping of a generic connector: what it may say, and what is wrong with one that says something else."""

from collections.abc import Collection, Mapping

from pydantic import JsonValue

from adapters.sources.jsonpath import PathError, steps
from adapters.sources.words import severity
from domain.inbound import MappingFlaw
from domain.signal import SignalKind

FIELDS = (
    "kind",
    "ts",
    "event_type",
    "key",
    "id",
    "status",
    "value",
    "text",
    "service",
    "environment",
    "severity",
    "trace_id",
    "correlation_id",
)
STATES = {"firing": "firing", "resolved": "resolved", "ok": "resolved"}
_SEVERITIES = ("critical", "error", "warning", "info")
_PARTS = ("items", "fields", "labels", "severities", "statuses", "kinds")
MOST_LABELS = 64


def flaw_of(mapping: Mapping[str, JsonValue]) -> MappingFlaw | None:
    """The first flaw, or None. Names of labels and of the sender's words are not repeated."""
    if set(mapping) - set(_PARTS):
        return MappingFlaw(pointer="", reason=f"expected nothing but {_listed(_PARTS)}")
    return (
        _path_flaw("/items", mapping.get("items", "$"), may_be_a_word=False)
        or _fields_flaw(mapping.get("fields", {}))
        or _labels_flaw(mapping.get("labels", {}))
        or _words_flaw("/severities", mapping.get("severities", {}), _SEVERITIES)
        or _words_flaw("/statuses", mapping.get("statuses", {}), tuple(STATES))
        or _words_flaw("/kinds", mapping.get("kinds", {}), tuple(SignalKind))
    )


def _fields_flaw(fields: JsonValue) -> MappingFlaw | None:
    if not isinstance(fields, dict) or set(fields) - set(FIELDS):
        return MappingFlaw(pointer="/fields", reason=f"expected an object with nothing but {_listed(FIELDS)}")
    found = (_path_flaw(f"/fields/{name}", path, may_be_a_word=True) for name, path in fields.items())
    return next((flaw for flaw in found if flaw), None)


def _labels_flaw(labels: JsonValue) -> MappingFlaw | None:
    if not isinstance(labels, dict) or len(labels) > MOST_LABELS:
        return MappingFlaw(pointer="/labels", reason=f"expected an object with at most {MOST_LABELS} labels")
    found = (_path_flaw("/labels", path, may_be_a_word=True) for path in labels.values())
    return next((flaw for flaw in found if flaw), None)


def _path_flaw(pointer: str, path: JsonValue, *, may_be_a_word: bool) -> MappingFlaw | None:
    if not isinstance(path, str):
        return MappingFlaw(pointer=pointer, reason="expected a path that begins with $" + ", or a word" * may_be_a_word)
    if may_be_a_word and not path.startswith("$"):
        return None
    try:
        steps(path)
    except PathError as error:
        return MappingFlaw(pointer=pointer, reason=str(error))
    return None


def _words_flaw(pointer: str, words: JsonValue, meanings: Collection[str]) -> MappingFlaw | None:
    """The sender's words by ours."""
    is_right = isinstance(words, dict) and all(_means(word, meanings) for word in words.values())
    if is_right:
        return None
    return MappingFlaw(pointer=pointer, reason=f"expected an object whose values are among {_listed(meanings)}")


def _means(word: JsonValue, meanings: Collection[str]) -> bool:
    return isinstance(word, str) and (word.lower() in meanings or (meanings is _SEVERITIES and severity(word) is not None))


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)
