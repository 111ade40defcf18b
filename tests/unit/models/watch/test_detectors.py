"""Each detector of a service's watcher sees its fault, says why, and leaves alone what is usual."""

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain.watch import Arrival
from models.watch.errors import MOST_SIGNATURES
from models.watch.feeds import MOST_FEEDS
from models.watch.metrics import MOST_LEVELS
from models.watch.watcher import WATCHED
from tests.unit.models.watch.arrivals import BEGAN, again, fresh, line, point, said, usual

MINUTE, HOUR = 60, 3_600
TRACE = (
    'Traceback (most recent call last):\n  File "/srv/shop/pay.py", line {}, in charge\n    call()\nTimeoutError: gateway {}'
)


def series(minutes: range, key: str, middle: float, spread: float, seed: int = 1) -> list[Arrival]:
    """A value a minute."""
    dice = random.Random(seed)
    return [point(minute * MINUTE, dice.gauss(middle, spread), key) for minute in minutes]


def odd(taken, detector: str) -> list:
    return [each for each in said(taken, detector) if each.is_odd]


def chatter(minutes: range, each: int = 30) -> Iterator[Arrival]:
    """Lines of three kinds, always in the same mix."""
    dice = random.Random(7)
    for minute in minutes:
        for number in range(each):
            text = dice.choice(
                ["request 1 served in 3 ms", "request 1 served in 3 ms", "cache hit for 77", "queue holds 12 jobs"]
            )
            yield line(minute * MINUTE + number * MINUTE / each, text)


def test_a_level_that_changed_for_good_is_seen() -> None:
    """Within a quarter of an hour, with the time since when."""
    watcher = fresh()
    calm = watcher.take(series(range(200), "latency", 100, 5))
    shifted = watcher.take(series(range(200, 215), "latency", 130, 5, seed=2))

    assert odd(calm, "change") == []
    assert odd(shifted, "change")[0].reasons[0].startswith("latency: ")


def test_a_run_that_takes_far_too_long_is_seen() -> None:
    """Whatever its unit; a metric that measures no run is not taken for one."""
    watcher = fresh()
    calm = watcher.take([*series(range(60), "job_duration_seconds", 100, 5), *series(range(60), "cpu", 50, 5)])
    slow = watcher.take([point(61 * MINUTE, 900, "job_duration_seconds"), point(61 * MINUTE, 900, "cpu")])

    assert {each.subject for each in said(calm, "duration")} == {"job_duration_seconds"}
    assert odd(calm, "duration") == []
    [found] = odd(slow, "duration")
    assert found.reasons[0].startswith("job_duration_seconds: took 15 min, usually ")
    [short] = said(fresh().take([point(0, 2_000, "duration_ms")]), "duration")
    assert short.evidence == {"value": 2.0}


def test_a_run_that_brings_far_too_little_is_seen() -> None:
    """A hundredth of the rows; a fifth more or less is usual."""
    watcher = fresh()
    calm = watcher.take(series(range(60), "data_volume_rows", 10_000, 700))
    few = watcher.take([point(61 * MINUTE, 100, "data_volume_rows")])

    assert odd(calm, "volume") == []
    assert odd(few, "volume")[0].reasons[0].startswith("data_volume_rows: 100 rows, usually ")


def test_far_too_few_lines_in_a_minute_are_seen() -> None:
    """Of a service that speaks all the same: lines that fail beside metrics that come are a zero, not a silence."""
    watcher = fresh()
    calm = watcher.take([*chatter(range(60)), *series(range(60), "load", 1, 0.1)])
    quiet = watcher.take(series(range(60, 65), "load", 1, 0.1))

    assert odd(calm, "volume") == []
    assert odd(quiet, "volume")[0].reasons[0].startswith("log signals: no in a minute, usually 30")


def test_a_minute_without_anything_is_no_volume() -> None:
    """Missing is not zero: the silence is for those that wait, and the minute after it is as usual."""
    watcher = fresh()
    watcher.take([*chatter(range(30))])
    after = watcher.take([*chatter(range(45, 50))])

    assert odd(after, "volume") == []


def test_what_does_not_come_any_more_is_missing() -> None:
    """It is asked for; it is said once and then a minute later, until it comes again."""
    watcher = fresh()
    watcher.take(series(range(30), "load", 1, 0.1))
    last = BEGAN + 29 * timedelta(minutes=1)

    assert watcher.missing(last + timedelta(seconds=65)) == []
    [found] = watcher.missing(last + timedelta(minutes=5))
    assert (found.detector, found.subject, found.is_odd) == ("freshness", "load", True)
    assert found.reasons == ("load: nothing for 5 min, usually after at most 60 s",)
    assert found.evidence == {"last": last.isoformat()}
    assert watcher.missing(last + timedelta(minutes=5, seconds=10)) == []
    assert watcher.due(last + timedelta(minutes=5)) is None
    assert len(watcher.missing(last + timedelta(minutes=6, seconds=1))) == 1

    back = watcher.take(series(range(36, 40), "load", 1, 0.1))
    assert [each.is_odd for each in said(back, "freshness")] == [True, False, False, False]
    assert watcher.missing(BEGAN + timedelta(minutes=40)) == []


def test_a_zero_has_come() -> None:
    """A metric that says nothing but 0 is there."""
    watcher = fresh()
    taken = watcher.take([point(minute * MINUTE, 0.0) for minute in range(60)])

    assert odd(taken, "freshness") == []
    assert watcher.missing(BEGAN + timedelta(minutes=60)) == []


def test_when_something_will_be_missing_is_known() -> None:
    """A little after the longest usual pause, in half a minute at the earliest, and never of what came thrice.

    What comes within five seconds has come at once.
    """
    watcher = fresh()
    watcher.take(series(range(3), "load", 1, 0.1))
    assert watcher.due(BEGAN) is None

    watcher.take(series(range(3, 30), "load", 1, 0.1))
    last = BEGAN + 29 * timedelta(minutes=1)
    due = watcher.due(last)
    assert due is not None
    assert timedelta(seconds=60) < due - last < timedelta(minutes=2)

    busy = fresh()
    busy.take([point(second, 1.0, "beat") for second in range(100)])
    assert busy.due(BEGAN + timedelta(seconds=99)) == BEGAN + timedelta(seconds=95 + 30)


def test_an_error_never_said_before_is_seen_at_once() -> None:
    """Known errors are not, nor are new lines that are no errors, nor anything while everything is new."""
    watcher = fresh()
    first = watcher.take([line(0, "no route to host", "error")])
    calm = watcher.take([*usual(600), line(601, "a line of another kind")])
    news = watcher.take([line(602, "certificate of gateway 12 has expired", "error")])

    assert odd(first, "novelty") == odd(calm, "novelty") == []
    [found] = odd(news, "novelty")
    assert found.reasons == ("never said before: certificate of gateway <*> has expired",)
    assert found.evidence["lines"][0]["exemplar"] == "certificate of gateway 12 has expired"
    again_said = [line(702, "certificate of gateway 13 has expired", "error"), line(720, "x")]
    assert [each.at for each in odd(watcher.take(again_said), "novelty")] == [BEGAN + timedelta(seconds=610)]


def test_a_mix_of_lines_that_shifts_is_seen() -> None:
    """As many lines, but most of them of another template than usual."""
    watcher = fresh()
    calm = watcher.take([*chatter(range(90))])
    shifted = watcher.take([line(90 * MINUTE + second, f"retry {second} of 5 for lock") for second in range(0, 125, 2)])

    assert odd(calm, "mixture") == []
    [found, *_] = odd(shifted, "mixture")
    assert "retry <*> of <*> for lock" in [each["template"] for each in found.evidence["templates"]]


def test_failures_of_one_kind_that_burst_are_told_by_what_they_are() -> None:
    """Code, template and frame, without line numbers; another kind that goes on as usual is not blamed."""
    watcher = fresh()
    steady = [
        line(
            second, f"job {second} failed with HTTP 502" if second % 5 == 0 else "fine", "error" if second % 5 == 0 else "info"
        )
        for second in range(1_200)
    ]
    calm = watcher.take(steady)
    broken = watcher.take(
        [line(1_200 + number / 5, TRACE.format(number, number), "error") for number in range(40)]
        + [line(1_208 + number, f"job {number} failed with HTTP 502", "error") for number in range(2)]
    )

    assert odd(calm, "signature") == []
    [found] = odd(broken, "signature")
    assert found.evidence["frame"] == "charge shop/pay.py"
    assert found.evidence["code"] == "TimeoutError"
    assert "at charge shop/pay.py: 40 in 10 s" in found.reasons[0]
    assert found.subject == found.evidence["digest"]


def test_what_is_watched_is_bounded() -> None:
    """However many kinds of failures and metrics there are."""
    watcher = fresh()
    words = [f"{first}{second}" for first in "abcdefgh" for second in "klmnopqr"]
    watcher.take([line(number, f"{word} {word * 2} went {word * 3} down", "error") for number, word in enumerate(words)])
    watcher.take([point(100 + minute * MINUTE, 1.0, f"m{number}") for minute in range(3) for number in range(60)])
    kept = [each.detector for each in watcher.unkept()]

    assert kept.count("signature") <= MOST_SIGNATURES
    assert kept.count("change") <= MOST_LEVELS


def test_what_has_been_silent_for_a_day_makes_room() -> None:
    """Metrics that come and go for weeks: the newest are watched as the first were, and no more is remembered."""
    watcher = fresh()
    for day in range(5):
        names = [f"d{day}m{number}" for number in range(60)]
        watcher.take([point(day * 26 * HOUR + minute * MINUTE, 1.0, name) for minute in range(3) for name in names])
    newest = {(each.detector, each.subject) for each in watcher.unkept() if each.subject.startswith("d4")}

    assert len([each for each in newest if each[0] == "change"]) == MOST_LEVELS
    assert len([each for each in newest if each[0] == "freshness"]) == MOST_FEEDS
    assert len(watcher._feeds._came) <= MOST_FEEDS
    assert len(watcher._metrics._means) <= MOST_LEVELS


def test_what_was_learnt_is_taken_up_again() -> None:
    """Another process sees the same of each detector."""
    history = [*chatter(range(60)), *series(range(60), "job_duration_seconds", 100, 5), *series(range(60), "rows", 500, 20)]
    fault = [
        point(61 * MINUTE, 900, "job_duration_seconds"),
        point(61 * MINUTE, 3, "rows"),
        line(61 * MINUTE, "no space left on device", "error"),
    ]
    watcher = fresh()
    taken = watcher.take(history)
    templates = {each.number: each for each in taken.mined.changed}
    another = again(watcher, taken, tuple(templates.values()))
    seen = another.take(fault)

    assert {each.detector for each in seen.observations if each.is_odd} >= {"duration", "volume", "novelty"}


@pytest.mark.parametrize("seed", range(2))
def test_an_ordinary_day_is_left_alone(seed: int) -> None:
    """Metrics with noise, a job an hour, lines in their usual mix with an error now and then: next to nothing is odd."""
    dice = random.Random(seed)
    day = []
    for minute in range(24 * 60):
        at = minute * MINUTE
        day.append(point(at, dice.gauss(50, 4), "cpu"))
        if minute % 60 == 0:
            day.append(point(at, dice.gauss(300, 20), "job_duration_seconds"))
            day.append(point(at, dice.gauss(10_000, 500), "data_volume_rows"))
        for number in range(dice.randint(8, 12)):
            bad = dice.random() < 0.02
            day.append(
                line(at + number * 5, "no answer from 10.0.0.1" if bad else "served 12 in 3 ms", "error" if bad else "info")
            )
    taken = fresh().take(day)
    alarms = [each for each in taken.observations if each.is_odd and each.detector not in ("outlier", "burst")]

    assert {each.detector for each in taken.observations} == WATCHED.keys()
    assert len(alarms) <= 5, [(each.detector, each.at, each.reasons) for each in alarms]
