"""Equal values have one spelling and one digest."""

import hashlib
import math
from datetime import timedelta
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from domain.base import OrgId, Value
from domain.canonical import canonical, digest
from domain.errors import InvalidError

ORG = OrgId(int=7)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


class Target(Value):
    org: OrgId
    names: frozenset[str]
    within: timedelta
    by_name: dict[str, frozenset[str]]
    inner: tuple[frozenset[str], ...] = ()
    weight: float = 0


@given(st.dictionaries(TEXT, JSON, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value, random):
    """The same fields in another order have the same bytes."""
    shuffled = list(value.items())
    random.shuffle(shuffled)
    assert canonical(dict(shuffled)) == canonical(value)


@given(st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT, max_size=6) | JSON)
def test_the_short_way_writes_the_same_bytes(value):
    """Flat records take a faster encoder, which agrees with the reference in every byte."""
    assert canonical(value) == rfc8785.dumps(value)


def test_keys_are_sorted_and_numbers_spelled_as_the_standard_says():
    """The example of RFC 8785 section 3.2.2 comes out to the letter, cut to its numbers and literals."""
    value = {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001], "literals": [None, True, False]}
    assert canonical(value) == b'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}'


def test_a_value_is_spelled_as_its_json():
    """Ids are shown with their prefix and durations as ISO 8601."""
    target = Target(org=ORG, names=frozenset({"b", "a"}), within=timedelta(hours=1), by_name={})
    assert canonical([target]).startswith(
        b'[{"by_name":{},"inner":[],"names":["a","b"],"org":"org_0000000000000000000000000' + b"7"
    )


@given(st.lists(TEXT, max_size=6), st.randoms())
def test_sets_have_no_order(names, random):
    """A set digests the same however it was filled, at any depth."""
    shuffled = list(names)
    random.shuffle(shuffled)
    first, second = (
        Target(org=ORG, names=frozenset(x), within=timedelta(), inner=(frozenset(x),), by_name={"n": frozenset(x)})
        for x in (names, shuffled)
    )
    assert digest(first) == digest(second) == hashlib.sha256(canonical(first)).hexdigest()
    assert list(first.model_dump()) == list(Target.model_fields)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (math.nan, "NaN or an infinity"),
        ({"a": [math.inf]}, "NaN or an infinity"),
        (2**53, r"an integer beyond 2\^53"),
        (-(2**53), r"an integer beyond 2\^53"),
        ("\ud800", "a lone surrogate"),
        ({"\ud800": 1, "a": 2}, "a lone surrogate"),
        ({1: "a"}, "object keys must be strings"),
        ({"a", "b"}, "unsupported type"),
        (UUID(int=1), "unsupported type"),
        (Target(org=ORG, names=frozenset(), within=timedelta(), by_name={}, weight=math.nan), "NaN or an infinity"),
    ],
)
def test_what_json_cannot_say_is_refused(value, sentence):
    """A refusal names the reason and not the value."""
    with pytest.raises(InvalidError, match=sentence):
        canonical(value)


def test_a_value_nested_without_end_is_refused():
    """Depth is an error of the input, not a crash."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidError, match="nested too deeply"):
        canonical(deep)
