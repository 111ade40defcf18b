"""What a service's watcher says of metrics and lines, however its signals are cut into looks."""

import itertools
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from models.watch.metrics import MOST, OTHERS
from tests.unit.models.watch.arrivals import BEGAN, again, fresh, line, point, said, usual

WORDS = st.sampled_from(["user 12 came", "user 77 came", "disk sda1 is full", "cache hit", "retry 3 of 5"])


def test_a_burst_is_seen_before_its_interval_is_over():
    """Forty errors within three seconds, in the first look after them; an ordinary look says nothing."""
    watcher = fresh()
    watcher.take(usual(600))
    calm = watcher.take([line(600.5, "request 600 served")])
    burst = watcher.take([line(601 + number / 20, f"request {number} failed", "error") for number in range(40)])

    assert [each.is_odd for each in said(calm, "burst")] == [False]
    [found] = said(burst, "burst")
    assert found.is_odd
    assert found.weight > 1
    assert found.reasons[0].startswith("40 of 41 failed in 10 s")


def test_calm_is_said_once_for_each_interval():
    """Intervals in which something came are judged as they end, those without a line are not."""
    watcher = fresh()
    taken = watcher.take([*usual(30), line(95, "late riser")])

    assert [(each.at, each.is_odd) for each in said(taken, "burst")] == [
        (BEGAN + timedelta(seconds=second), False) for second in (10, 20, 30)
    ]


def test_f25_what_is_told_late_or_early_is_not_of_now():
    """Three days are late, two hours early: neither is judged; what is late is added to its own minutes, the other to none."""
    watcher = fresh()
    watcher.take(usual(60))
    errors = [line(61, "failed", "error", told=told) for told in (timedelta(days=3), -timedelta(hours=2)) for _ in range(50)]
    taken = watcher.take(errors)

    assert taken.observations == ()
    assert taken.mined.lines == 120
    counted = [(each.at, each.count) for each in taken.sums[1]]
    assert counted == [(BEGAN + timedelta(minutes=1) - timedelta(days=3), 50)]


@settings(max_examples=30)
@given(texts=st.lists(WORDS, min_size=1, max_size=60), cuts=st.sets(st.integers(1, 59)))
def test_looks_do_not_change_what_is_counted(texts, cuts):
    """Templates, their counts and the sums are the same for any cut of the same lines, even with a new process at each."""
    arrivals = [line(number / 7, text) for number, text in enumerate(texts)]
    at_once = fresh().take(arrivals)
    watcher, stored, counted = fresh(), {}, 0
    edges = [0, *sorted(cut for cut in cuts if cut < len(arrivals)), len(arrivals)]
    for first, last in itertools.pairwise(edges):
        taken = watcher.take(arrivals[first:last])
        stored |= {each.number: each for each in taken.mined.changed}
        for gone in taken.mined.gone:
            del stored[gone]
        counted += sum(each.count for each in taken.sums[5])
        watcher = again(watcher, taken, tuple(stored.values()))

    assert counted == len(texts) == sum(each.count for each in stored.values())
    assert {(each.template, each.count) for each in stored.values()} == {
        (each.template, each.count) for each in at_once.mined.changed
    }


def test_too_many_metrics_are_added_up_as_one():
    """The first two hundred are watched; the others are summed, and take the place of one that is silent for a day."""
    watcher = fresh()
    taken = watcher.take([point(0, 1.0, f"m{number}") for number in range(MOST + 5)])
    later = watcher.take([point(90_000, 2.0, "late", host="a")])

    assert len(said(taken, "outlier")) == MOST
    assert [each.count for each in taken.sums[1] if each.subject == OTHERS] == [5]
    assert [each.subject for each in said(later, "outlier")] == ["late{host=a}"]


def test_a_line_says_itself_how_bad_it_is():
    """In a field or a word; what the sender says of it counts more."""
    watcher = fresh()
    taken = watcher.take(
        [
            line(0, '{"level":"error","msg":"no disk"}', ""),
            line(1, "2026-01-01 00:00:01 ERROR no disk", ""),
            line(2, "ERROR is only a word here", "info"),
            line(3, "no word of it", ""),
        ]
    )

    assert {each.subject: each.count for each in taken.sums[1]} == {"error": 2, "info": 1, "": 1}
