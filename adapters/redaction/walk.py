"""The way through nested JSON: every text by the name it goes by, so deep and so many and no more."""

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from adapters.redaction.digest import digest_of
from adapters.redaction.scanner import MARK
from adapters.redaction.secrets import is_measure, is_secret_name

_DEEPEST = 32
_MOST_VALUES = 20_000
_LEAST_NUMBER = 1_000


class Walk:
    """`redact` takes a name and the text by it; `hide` shows that something was there."""

    def __init__(self, redact: Callable[[str, str], str], hide: Callable[[str], str]) -> None:
        self._redact = redact
        self._hide = hide
        self._left = _MOST_VALUES

    def members(self, content: Mapping[str, JsonValue], depth: int) -> dict[str, JsonValue]:
        """Raises ValueError: there are more values than anybody reads."""
        shown = [(self._redact("", name), value) for name, value in content.items()]
        return {name: self._value(_words_of(name), value, depth) for name, value in shown}

    def _value(self, name: str, value: JsonValue, depth: int) -> JsonValue:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"expected at most {_MOST_VALUES} values")
        match value:
            case None | bool():
                return value
            case str() if is_secret_name(name):
                return self._hide(value) if value else value
            case str():
                return self._redact(name, value)
            case int() | float():
                return self._number(name, value)
            case dict() | list() if depth >= _DEEPEST:
                return digest_of(value)
            case dict():
                return self._under(name, value, depth)
            case list():
                return [self._value(name, each, depth + 1) for each in value]

    def _under(self, name: str, value: dict[str, JsonValue], depth: int) -> JsonValue:
        """What a secret name holds is secret by whatever name inside."""
        if is_secret_name(name) and not is_measure(name):
            return {self._redact("", inner): self._value(name, each, depth + 1) for inner, each in value.items()}
        return self.members(value, depth + 1)

    def _number(self, name: str, value: float) -> JsonValue:
        """Stays a number, unless it is somebody's: of a card, a phone, a secret."""
        if is_secret_name(name):
            return value if is_measure(name) else self._hide(str(value))
        if abs(value) < _LEAST_NUMBER or isinstance(value, float):
            return value
        shown = self._redact(name, str(value))
        return value if shown == str(value) else shown


def _words_of(name: str) -> str:
    """The kind of what was taken out of a name says nothing about what goes by it."""
    return MARK.sub("", name)
