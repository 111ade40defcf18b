"""Expressions of a user's own that are meant to be slow, or are a megabyte long, are refused or cut."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.redaction.extra import ExtraRule
from adapters.sources.generic import Generic
from adapters.sources.jsonpath import Effort, EffortError, PathError, values
from adapters.sources.reading import MOST
from domain.inbound import Inbound, Parsed
from models.logs.grok import Grok, GrokPatterns
from tests.faults.report import bar

CUT_AFTER_S = 0.1
MEGABYTE = 2**20
CHAINS = json.loads("[" + ",".join(["[" * 250 + "]" * 250] * 2_000) + "]")
"""Two thousand lists, each of which leads 250 steps down."""

EXPLODING = ("(a+)+$", "(a|a)*$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x", "(x+x+)+y", "(?:a?){30}a{30}")
FEATURES = ("(?=a)", r"(a)\1", "(?<!a)b", "(?>a+)b")


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def parsed(document: Any, **config: Any) -> Parsed:
    body = json.dumps(document).encode()
    return Generic().parse(Inbound(arrived=datetime(2026, 11, 27, tzinfo=UTC), body=body), config)


@pytest.mark.parametrize(
    "path", ["$" + ".*" * 250, "$" + "[*]" * 32, "$" + "[0]" * 100, "$" + ".a" * (MEGABYTE // 2), "$" * MEGABYTE]
)
def test_a35_a_path_is_refused_or_cut(path: str) -> None:
    """However long it is and however many values lie on its way."""

    def ask() -> None:
        with pytest.raises((PathError, EffortError)):
            [values(CHAINS, path, effort) for _ in range(100)]

    effort = Effort()
    assert seconds(ask) < bar(CUT_AFTER_S)


def test_a35_the_paths_of_a_mapping_share_one_effort() -> None:
    """A request whose items every one of many paths leads through is refused, and says what to do."""
    told = parsed(
        [CHAINS[:500]] * 100, items="$[*]", fields={"text": "$" + "[*]" * 32}, labels={f"l{n}": "$[*][*][*]" for n in range(64)}
    )

    assert told.refused[-1].reason.startswith("the connector's mapping looks at too much")


def test_a35_a_mapping_of_thousands_of_labels_reads_sixty_four() -> None:
    """A small request does not become minutes of work."""
    items = [{"a": 1}] * 200
    few, many = ({f"l{n}": "$.a" for n in range(count)} for count in (64, 50_000))

    usual = seconds(lambda: parsed(items, items="$[*]", labels=few))

    assert seconds(lambda: parsed(items, items="$[*]", labels=many)) < 10 * usual + CUT_AFTER_S


def test_a35_items_beyond_the_most_are_not_read() -> None:
    """Half a million of them cost little more than the first ten thousand."""
    told = parsed([1] * 500_000, items="$", fields={"text": "$"})

    assert (len(told.signals), len(told.refused)) == (MOST, 500_000 - MOST)
    assert told.refused[0].reason == f"expected at most {MOST} items: send fewer at once"


@pytest.mark.parametrize("pattern", EXPLODING)
def test_a35_a_pattern_that_explodes_elsewhere_ends_on_any_line(pattern: str) -> None:
    """As grok and as a rule of redaction: the time goes with the length of the line."""
    grok, rule = Grok(GrokPatterns(expressions=(pattern,))), ExtraRule(kind="OWN", pattern=f"z{pattern}").rule()

    for line in ("a" * 60_000, "x" * 60_000, "aaaa!" * 12_000):
        assert seconds(lambda line=line: grok.match(line)) < bar(CUT_AFTER_S)  # type: ignore[misc]
        assert seconds(lambda line=line: rule.pattern.search("z" + line)) < bar(CUT_AFTER_S)  # type: ignore[misc]


@pytest.mark.parametrize("pattern", [*FEATURES, "a" * MEGABYTE, "(" * MEGABYTE, "a{1000}{1000}", "((a{100}){100}){100}"])
def test_a35_a_pattern_that_cannot_be_fast_is_refused(pattern: str) -> None:
    """What needs going back, a megabyte, and repetitions of repetitions."""

    def ask() -> None:
        for refusing in (lambda: GrokPatterns(expressions=(pattern,)), lambda: ExtraRule(kind="OWN", pattern=pattern)):
            with pytest.raises(ValueError, match=r"expected|String"):
                refusing()

    assert seconds(ask) < bar(CUT_AFTER_S)
