"""Reads a pipeline file: strict YAML in, a `PipelineSpec` out, every refusal with file, line and field."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import JsonValue, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from domain.errors import PipelineFileError
from domain.pipeline import PipelineSpec
from domain.units import duration_text

_BYTES = 256 * 1024
_DEPTH = 20
_SHOWN = 10
_DIGITS = 20
_REASONS = {"missing": "is required", "extra_forbidden": "unknown field", "model_type": "expected a mapping"}
_PREFIX = "tag:yaml.org,2002:"
_TEXT = f"{_PREFIX}str"


_SCALARS = (
    ("null", r"~|null|", ("~", "n", "")),
    ("bool", r"true|false", ("t", "f")),
    ("int", r"-?(0|[1-9][0-9]*)", tuple("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", tuple("-0123456789")),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """What an unquoted word may be other than text, by its first letter: what JSON has, and nothing else."""
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, letters in _SCALARS:
        for letter in letters:
            found.setdefault(letter, []).append((_PREFIX + tag, re.compile(rf"^(?:{pattern})$")))
    return found


class _LineError(Exception):
    def __init__(self, line: int, reason: str, place: Sequence[str | int] = ()) -> None:
        super().__init__(reason)
        self.line, self.reason, self.place = line, reason, tuple(place)


class _Loader(yaml.SafeLoader):
    """YAML that says what it seems to say: no anchors, no tags, no dates, no `yes`, nothing deep."""

    yaml_implicit_resolvers = _resolvers()
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        peek: Callable[[], yaml.Event] = self.peek_event
        event = peek()
        line = event.start_mark.line + 1 if event.start_mark else 1
        if getattr(event, "anchor", None) is not None:
            raise _LineError(line, "anchors and aliases are not allowed")
        if getattr(event, "tag", None) is not None:
            raise _LineError(line, "tags are not allowed")
        if self.depth == _DEPTH:
            raise _LineError(line, f"nested deeper than {_DEPTH}")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def load(text: str, *, file: str) -> PipelineSpec:
    """The pipeline written in `text`; `file` is the name shown in refusals.

    Raises:
        PipelineFileError: `file:line: field: reason`, one line for each mistake, the first ones.
    """
    try:
        root = _compose(text)
        content = _content(root, ())
    except _LineError as refusal:
        raise PipelineFileError(_sentence(file, refusal), pointer=_pointer(refusal.place)) from None
    try:
        return PipelineSpec.model_validate(content)
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False)
        refusals = [_located(root, each) for each in mistakes if not _follows(each, mistakes)]
    refusals.sort(key=lambda refusal: refusal.line)
    sentences = "\n".join(_sentence(file, refusal) for refusal in refusals[:_SHOWN])
    raise PipelineFileError(sentences, pointer=_pointer(refusals[0].place))


def schema() -> str:
    """The JSON Schema of the pipeline file, as it is shipped."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | PipelineSpec.model_json_schema(schema_generator=_Schema), indent=2) + "\n"


def write_schema(path: Path) -> None:
    path.write_text(schema(), encoding="utf-8")


class _Schema(GenerateJsonSchema):
    """Pydantic's schema, with defaults written as the file writes them."""

    def encode_default(self, dft: Any) -> Any:
        return duration_text(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _compose(text: str) -> yaml.Node:
    if len(text) > _BYTES or len(text.encode(errors="surrogatepass")) > _BYTES:
        raise _LineError(1, f"the file is larger than {_BYTES} bytes")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _LineError(line, f"holds the character U+{error.character:04X}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _LineError(mark.line + 1 if mark else 1, f"is not YAML: {error.problem}") from None
    except (ValueError, OverflowError):  # an escape like "\Uffffffff" names no character
        raise _LineError(loader.get_mark().line + 1, "is not YAML: an escape names no character") from None
    if node is None:
        raise _LineError(1, "the file is empty")
    return node


def _content(node: yaml.Node, place: tuple[str | int, ...]) -> JsonValue:
    match node:
        case yaml.MappingNode():
            return _mapping(node, place)
        case yaml.SequenceNode():
            return [_content(item, (*place, at)) for at, item in enumerate(node.value)]
        case _:
            return _scalar(node, place)


def _mapping(node: yaml.MappingNode, place: tuple[str | int, ...]) -> dict[str, JsonValue]:
    content: dict[str, JsonValue] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag != _TEXT:
            raise _LineError(line, "a key must be text", place)
        if key.value in content:
            raise _LineError(line, "the key stands here twice", (*place, key.value))
        content[key.value] = _content(value, (*place, key.value))
    return content


def _scalar(node: yaml.Node, place: tuple[str | int, ...]) -> JsonValue:
    match str(node.tag).removeprefix(_PREFIX):
        case "null":
            return None
        case "bool":
            return str(node.value) == "true"
        case "int" if len(node.value) > _DIGITS:
            raise _LineError(node.start_mark.line + 1, "the number is too long", place)
        case "int":
            return int(node.value)
        case "float":
            return float(node.value)
        case _:
            return str(node.value)


def _follows(mistake: ErrorDetails, mistakes: Sequence[ErrorDetails]) -> bool:
    """Whether it only says that something holds a mistake which another one names: a list without its bad items is short."""
    place = mistake["loc"]
    return any(len(each["loc"]) > len(place) and each["loc"][: len(place)] == place for each in mistakes)


def _located(root: yaml.Node, detail: ErrorDetails) -> _LineError:
    """The refusal with the line of the innermost node that its place leads to."""
    node, line = root, root.start_mark.line + 1
    for step in detail["loc"]:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return _LineError(line, _REASONS.get(detail["type"], detail["msg"].removeprefix("Value error, ")), detail["loc"])


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    match node:
        case yaml.MappingNode():
            return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == step), None)
        case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
            return node.value[step].start_mark.line + 1, node.value[step]
        case _:
            return None


def _sentence(file: str, refusal: _LineError) -> str:
    field = f" {'.'.join(str(step) for step in refusal.place)}:" if refusal.place else ""
    return f"{file}:{refusal.line}:{field} {refusal.reason}"


def _pointer(place: Sequence[str | int]) -> str:
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in place)
