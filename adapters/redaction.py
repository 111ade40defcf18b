"""Take out of text what looks like a credential; what a person calls personal is left to the full redaction to come."""

import re
from collections.abc import Mapping

from pydantic import JsonValue

HIDDEN = "[redacted]"
_DEEPEST = 32
_SECRET_NAME = re.compile(r"passw|secret|token|authorization|api_?key|cookie|credential|private_?key", re.IGNORECASE)
# Each pattern reads a text once: no hostile text makes it read the same part again from another start.
_SECRETS = (
    (re.compile(r"\bsut_[A-Za-z0-9_-]+"), HIDDEN),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]+"), HIDDEN),
    (re.compile(r"(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]++\.[A-Za-z0-9_.-]+"), HIDDEN),
    (re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"(://[^\s:/@]{0,256}):(?:(?!://)[^\s@]){1,1024}@"), rf"\1:{HIDDEN}@"),
    (
        re.compile(
            r"((?:passw(?:or)?d|secret|token|api_?key|authorization)[\"']?\s*[=:]\s*)(?!bearer|basic)[\"']?[^\s\"'&,;]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


def redact(text: str) -> str:
    """The text without what looks like a credential."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is nobody's to read."""
    return _SECRET_NAME.search(name) is not None


class PatternRedactor:
    """Implements `services.ports.Redactor` by the patterns that log lines go by, too."""

    def text(self, text: str) -> str:
        return redact(text)

    def content(self, content: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """The strings in it redacted, at whatever depth; what lies deeper than anybody reads is hidden whole."""
        return {name: _value(name, value, 1) for name, value in content.items()}


def _value(name: str, value: JsonValue, depth: int) -> JsonValue:
    match value:
        case str():
            return HIDDEN if is_secret_name(name) else redact(value)
        case dict() | list() if depth >= _DEEPEST:
            return HIDDEN
        case dict():
            return {key: _value(key, each, depth + 1) for key, each in value.items()}
        case list():
            return [_value(name, each, depth + 1) for each in value]
        case _:
            return value
