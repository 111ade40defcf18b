"""Our measures are the published ones."""

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.files import SHARED
from benchmarks.scoring.logs import grouping, parsing_accuracy

THEIRS = SHARED.parent / "acceptance" / "scoring" / "score_logs.py"
LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)
TEMPLATES = st.lists(st.sampled_from(["a <*>", "a <*> <*>", "a <*>:<*>", "a  b", "a b", "<num> a"]), min_size=6, max_size=6)


@pytest.fixture(scope="module")
def theirs():
    if not THEIRS.exists():
        pytest.skip("the shared scoring is not beside this checkout")
    spec = importlib.util.spec_from_file_location("score_logs", THEIRS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(labels=LABELS)
def test_grouping_is_theirs(theirs, labels):
    """GA and FGA agree with the shared scoring on any labelling."""
    true, found = zip(*labels, strict=True)
    wanted = theirs.grouping(true, found)
    assert grouping(true, found) == pytest.approx((wanted["GA"], wanted["FGA"]))


@given(one=TEMPLATES, two=TEMPLATES)
def test_parsing_accuracy_is_theirs(theirs, one, two):
    """PA agrees, too."""
    assert parsing_accuracy(one, two) == pytest.approx(theirs.parsing(one, two))
