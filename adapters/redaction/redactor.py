"""Takes out of text, labels, nested JSON and headers what nobody should find in a store, and fails closed."""

import hmac
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache

from pydantic import JsonValue

from adapters.redaction.digest import digest_of
from adapters.redaction.extra import ExtraRule
from adapters.redaction.network import NETWORK
from adapters.redaction.registry import RULES
from adapters.redaction.rule import Rule
from adapters.redaction.scanner import MARK, Found, Scanner
from adapters.redaction.walk import Walk

_LONGEST = 256 * 1024
_LONGEST_NAME = 256
_MOST_ROUNDS = 5
_WITHIN = timedelta(seconds=2)
_SHORTEST_KEY = 16
_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_.-]+")


class Redactor:
    """Implements `services.ports.Redactor`: no method raises, and what is redacted already stays as it is.

    `show` makes of a kind and a value what stands in the value's place.
    """

    def __init__(self, rules: Sequence[Rule], show: Callable[[str, str], str], *, within: timedelta = _WITHIN) -> None:
        self._scanner = _scanner(tuple(rules))
        self._show = show
        self._within = within.total_seconds()

    @classmethod
    def for_org(cls, key: bytes, extra_rules: Iterable[ExtraRule] = (), *, hide_ips: bool = True) -> "Redactor":
        """A value is shown alike wherever the org meets it, and told from its mark by nobody without the key.

        Raises:
            ValueError: the key is too short to be one.
        """
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"expected a key of at least {_SHORTEST_KEY} bytes, got {len(key)}")
        kept = [rule for rule in RULES if hide_ips or rule not in NETWORK]
        return Redactor([*kept, *(extra.rule() for extra in extra_rules)], lambda kind, value: mark(key, kind, value))

    def text(self, text: str) -> str:
        """The text with a mark in the place of each value, or its digest."""
        try:
            return self._redacted(text)
        except Exception:  # noqa: BLE001 (whatever went wrong, the text must not be stored as it is)
            return digest_of(text)

    def found(self, text: str) -> list[tuple[int, int, str]]:
        """Start, end and kind of what a first look finds."""
        return [(start, end, rule.kind) for start, end, rule in self._scanner.found(text, until=self._until())]

    def content(self, content: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Names and values redacted at whatever depth; what is too deep or too much is its digest."""
        if not content:
            return {}
        try:
            return Walk(self._text_called, self._hidden).members(content, 1)
        except Exception:  # noqa: BLE001 (as for a text)
            return {"redacted": digest_of(dict(content))}

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """As `content`, for values that are all text."""
        return {name: str(value) for name, value in self.content(headers).items()}

    def _redacted(self, text: str) -> str:
        """Looks again until nothing is found: once a value is gone, its neighbours may read as another one."""
        until, shown = self._until(), text
        for _ in range(_MOST_ROUNDS):
            if len(shown) > _LONGEST:
                break
            found = self._scanner.found(shown, until=until)
            if not found:
                return shown
            shown = self._replaced(shown, found)
        return digest_of(text)

    def _replaced(self, text: str, found: Iterable[Found]) -> str:
        parts: list[str] = []
        end = 0
        for each in found:
            parts += text[end : each.start], self._show(each.rule.kind, each.rule.normal(text[each.start : each.end]))
            end = each.end
        return "".join((*parts, text[end:]))

    def _text_called(self, name: str, text: str) -> str:
        """A number alone may be anything; by its name it is known."""
        if not name or len(name) > _LONGEST_NAME:
            return self.text(text)
        label = f"{_WORD_ENDS.sub(' ', name)}: "
        shown = self.text(label + text)
        return shown.removeprefix(label) if shown.startswith(label) else self.text(text)

    def _until(self) -> float:
        return time.monotonic() + self._within

    def _hidden(self, value: str) -> str:
        return value if MARK.fullmatch(value) else self._show("SECRET", value)


def mark(key: bytes, kind: str, value: str) -> str:
    """What stands in a value's place: its kind and eight digits that are equal for equal values."""
    tag = hmac.digest(key, f"{kind}{value}".encode("utf-8", "surrogatepass"), "sha256").hex()[:8]
    return f"<{kind}:{tag}>"


@lru_cache(maxsize=64)
def _scanner(rules: tuple[Rule, ...]) -> Scanner:
    """Orgs without rules of their own share one."""
    return Scanner(rules)
