"""The pages that tell people how to connect what they run."""

import pytest

from adapters.sources import FEEDS, SOURCES
from tests.unit.adapters.sources import pages


def test_every_kind_of_connector_has_a_page():
    """And there is no other page."""
    assert set(pages.EXAMPLES) == {source.belongs_to or source.kind for source in SOURCES}
    assert set(pages.FEEDS) == {source.kind for source in FEEDS}
    assert {path.stem for path in pages.PAGES.glob("*")} == {*pages.EXAMPLES, *pages.FEEDS, "README"}


@pytest.mark.parametrize("kind", pages.EXAMPLES)
def test_a_page_is_what_its_fixture_makes_it(kind: str):
    """Whoever changes one of them writes the pages anew: `python -m tests.unit.adapters.sources.pages`."""
    assert (pages.PAGES / f"{kind}.md").read_text() == pages.page(kind)


@pytest.mark.parametrize("kind", pages.FEEDS)
def test_a_page_of_a_feed_is_what_its_words_make_it(kind: str):
    """Written anew by the same program."""
    assert (pages.PAGES / f"{kind}.md").read_text() == pages.feed_page(kind)


def test_the_index_names_every_page():
    """By its title."""
    assert (pages.PAGES / "README.md").read_text() == pages.index()
