"""A batch is redacted, and in a storm what is alike is made one; nothing of it is left out."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from adapters.redaction import Redactor
from domain.signal import Signal, SignalKind
from services.lots import lot_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
REDACTOR = Redactor.for_org(b"k" * 32)


def line(text: str, **more: object) -> Signal:
    return Signal.model_validate({"source": "test", "kind": "log", "ts": AT, "text": text} | more)


def folded(*batch: Signal) -> list[list[int]]:
    """Which items have the same place."""
    places = lot_of(batch, REDACTOR, is_folded=True).places
    return [[number for number, place in enumerate(places) if place == wanted] for wanted in dict.fromkeys(places)]


def test_lines_that_differ_in_numbers_alone_are_one() -> None:
    """The first of them stands for all."""
    lot = lot_of([line("order 7 took 31 ms"), line("order 8f3a took 4 ms"), line("stopped")], REDACTOR, is_folded=True)

    assert [each.text for each in lot.signals] == ["order 7 took 31 ms", "stopped"]
    assert [each.text for each in lot.items] == ["order 7 took 31 ms", "order 7 took 31 ms", "stopped"]


def test_lines_of_other_services_levels_and_words_stay_apart() -> None:
    """So counts by service, by level and by what is said stay exact."""
    alike = "order 7 failed"
    batch = [line(alike), line(alike, service="shop"), line(alike, severity="error"), line("order 7 is paid")]

    assert folded(*batch, line("order 9 failed")) == [[0, 4], [1], [2], [3]]


def test_only_log_lines_are_folded() -> None:
    """A metric has a value of its own, an event and a deploy are told one by one."""
    others = [line("7", kind=kind, key="a", value=1.0) for kind in SignalKind if kind is not SignalKind.LOG]

    assert folded(*others, *others) == [[number] for number in range(2 * len(others))]


def test_without_a_storm_each_stands_for_itself() -> None:
    """However alike they are."""
    assert lot_of([line("a"), line("a")], REDACTOR, is_folded=False).places == (0, 1)


def test_a_key_with_a_secret_is_a_digest_of_each_item() -> None:
    """Folded items keep keys of their own, by which a repeated one is known."""
    secret = "AKIA" + "Q3EXAMPLE7KEYWXZ"
    keys = lot_of([line("a 1", idempotency_key=f"{secret}{n}") for n in range(2)], REDACTOR, is_folded=True).keys

    assert len(set(keys)) == 2
    assert secret not in "".join(key or "" for key in keys)


@given(st.lists(st.sampled_from(["a 1", "a 22", "b 1", "dead beef", ""]), min_size=1, max_size=30))
def test_every_item_has_one_place_and_every_place_an_item(texts: list[str]) -> None:
    """Whatever is sent."""
    lot = lot_of([line(each) for each in texts], REDACTOR, is_folded=True)

    assert len(lot.places) == len(lot.keys) == len(texts)
    assert sorted(set(lot.places)) == list(range(len(lot.signals)))
