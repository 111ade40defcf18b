"""The signature that groups occurrences of one error."""

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from domain.base import OrgId
from domain.signal import normalised, signature

ORGS = st.integers(min_value=0, max_value=2**128 - 1).map(lambda number: OrgId(int=number))
NAMES = st.from_regex(re.compile(r"[a-z0-9][a-z0-9-]{0,20}", re.ASCII), fullmatch=True)
VARIABLES = st.integers(min_value=0).map(str) | st.uuids().map(lambda each: each.hex) | st.integers(min_value=0).map(hex)
WORDS = st.lists(st.sampled_from(["timeout", "column", "exit", "rows", "job", "Bad Gateway", "não"]), min_size=1, max_size=4)


@given(ORGS, NAMES, NAMES, WORDS, VARIABLES, VARIABLES)
def test_numbers_and_ids_do_not_matter(org: OrgId, service: str, workflow: str, words: list[str], one: str, other: str):
    """Two occurrences that differ in them alone are one error."""
    first, second = (
        signature(org=org, service=service, error_code=f"{' '.join(words)} {variable} end", workflow=workflow)
        for variable in (one, other)
    )
    assert first == second
    assert re.fullmatch(r"[0-9a-f]{64}", first)


@given(ORGS, ORGS, NAMES, NAMES, NAMES, NAMES, WORDS)
def test_org_service_and_workflow_do_matter(
    org: OrgId, other_org: OrgId, service: str, other_service: str, workflow: str, other_workflow: str, words: list[str]
):
    """One error in two places is two errors, and two orgs never share one."""
    code = " ".join(words)
    places = {(org, service, workflow), (other_org, service, workflow), (org, other_service, workflow)}
    places.add((org, service, other_workflow))
    found = {signature(org=where, service=of, error_code=code, workflow=flow) for where, of, flow in places}
    assert len(found) == len(places)


@given(ORGS, NAMES, NAMES)
def test_a_service_is_not_taken_for_a_workflow(org: OrgId, one: str, other: str):
    """The parts cannot run into each other."""
    assume(one != other)
    assert signature(org=org, service=one, error_code="x", workflow=other) != signature(
        org=org, service=other, error_code="x", workflow=one
    )


@given(st.text(max_size=400))
def test_normalising_twice_is_normalising_once(code: str):
    """And what comes out is short and holds no digit."""
    once = normalised(code)
    assert len(once) <= 128
    assert not re.search(r"\d", once)
    assert normalised(once) == once
