"""Where in a text the rules find something: spans that do not overlap, each of one kind."""

import re
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from adapters.redaction.prefilter import Prefilter
from adapters.redaction.rule import Rule, Span

HIDDEN = "[redacted]"
MARK = re.compile(r"<[A-Z][A-Z0-9_]{1,15}:[0-9a-f]{8}(?:[0-9a-f]{8})?>|\[redacted\]")
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,16}m")


class Found(NamedTuple):
    start: int
    end: int
    rule: Rule


class Scanner:
    """Rules that stand first win where two find the same."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._prefilter = Prefilter([rule.hint for rule in self._rules])

    def found(self, text: str, *, until: float) -> list[Found]:
        """What is to be taken out, in order; what an earlier redaction put there is left, and colours are blanks.

        Raises:
            TimeoutError: `until`, in the seconds of `time.monotonic`, came before the last rule was through.
        """
        if "\x1b" in text:
            text = _COLOUR.sub(lambda code: " " * len(code.group()), text)
        hits = self._prefilter.hits(text)
        if not hits:
            return []
        spans = sorted(self._spans(text, hits, until))
        return list(self._merged(spans, _marks(text))) if spans else []

    def _spans(self, text: str, hits: Iterable[int], until: float) -> Iterator[tuple[int, int, int]]:
        for place in hits:
            if time.monotonic() > until:
                raise TimeoutError("redaction takes too long")
            rule = self._rules[place]
            for match in rule.pattern.finditer(text):
                if (span := rule.locate(match)) is not None:
                    yield span[0], -span[1], place

    def _merged(self, spans: Iterable[tuple[int, int, int]], marks: Sequence[Span]) -> Iterator[Found]:
        """What overlaps is taken out as one, by the rule that begins first and reaches furthest."""
        last: Found | None = None
        for start, end, place in ((start, -end, place) for start, end, place in spans):
            if _is_inside(marks, start, end):
                continue
            if last is not None and start < last.end:
                last = last._replace(end=max(last.end, end))
                continue
            if last is not None:
                yield last
            last = Found(start, end, self._rules[place])
        if last is not None:
            yield last


def _marks(text: str) -> list[Span]:
    return [match.span() for match in MARK.finditer(text)] if "<" in text or HIDDEN in text else []


def _is_inside(marks: Sequence[Span], start: int, end: int) -> bool:
    at = bisect_right(marks, (start, len(marks) and marks[-1][1])) - 1
    return at >= 0 and end <= marks[at][1]
