"""How a service does, read off its added-up minutes: what did not come is missing, and never a zero."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.service_view import State, Window
from domain.watch import Sum
from models.watch.view import MOST_RESOURCES, view

NOW = datetime(2026, 1, 1, 12, 7, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def metric(subject: str, *values: float, ago: int = 0) -> Sum:
    at = NOW.replace(second=0) - ago * MINUTE
    return Sum(
        kind="metric", subject=subject, at=at, count=len(values), total=sum(values), lowest=min(values), highest=max(values)
    )


def lines(level: str, count: int, *, ago: int = 0) -> Sum:
    return Sum(kind="log", subject=level, at=NOW.replace(second=0) - ago * MINUTE, count=count)


def seen(*sums: Sum, window: Window = Window.SHORT):
    return view(sums, service="shop", environment="prod", window=window, now=NOW)


def test_where_nothing_came_everything_is_missing() -> None:
    """No figure and no part has a number."""
    found = seen()

    assert {each.state for each in (found.rate, found.errors, found.duration)} == {State.MISSING}
    assert [each.value for each in (found.rate, found.errors, found.duration)] == [None] * 3
    assert found.utilisation == found.saturation == found.resource_errors == ()
    assert [(each.rate, each.errors, each.duration) for each in found.parts] == [(None, None, None)] * 5


def test_a_zero_that_came_is_a_zero() -> None:
    """A share of errors of nothing is not missing."""
    found = seen(metric("error_ratio", 0.0, 0.0))

    assert (found.errors.state, found.errors.value) == (State.PRESENT, 0.0)
    assert [each.errors for each in found.parts] == [None] * 4 + [0.0]


def test_lines_tell_where_no_metric_does() -> None:
    """A line is a thing done; by the second, of the time that has passed."""
    found = seen(lines("info", 90, ago=1), lines("error", 30, ago=1), lines("warning", 15))

    assert found.rate.value == 135 / (4.5 * 60)
    assert (found.errors.value, found.rate.source) == (30 / 135, "log lines")
    assert [each.rate for each in found.parts] == [None, None, None, 2.0, 0.5]
    assert [each.errors for each in found.parts] == [None, None, None, 0.25, 0.0]
    assert found.duration.state is State.MISSING


def test_metrics_tell_more_than_lines() -> None:
    """By the names that are recommended for them, whatever their labels; durations in seconds."""
    found = seen(
        lines("error", 10),
        metric("http_requests_per_second{host=a}", 10, 20),
        metric("http_requests_per_second{host=b}", 60),
        metric("failure_rate", 0.1, 0.3),
        metric("http_request_duration_ms", 100, 500),
    )

    assert (found.rate.value, found.rate.highest, found.rate.source) == (30, 60, "http_requests_per_second")
    assert (found.errors.value, found.errors.source) == (pytest.approx(0.2), "failure_rate")
    assert (found.duration.value, found.duration.highest, found.duration.unit) == (pytest.approx(0.3), 0.5, "s")


def test_each_resource_has_its_figure() -> None:
    """Utilisation, saturation and errors of what it uses, by name; no more than so many."""
    found = seen(
        metric("cpu_percent", 50, 70),
        metric("memory_percent", 40),
        metric("worker_queue_depth", 3),
        metric("network_errors_total", 2),
        metric("price", 9),
        *(metric(f"pool{number}_usage", 1) for number in range(40)),
    )

    assert len(found.utilisation) == MOST_RESOURCES
    assert [(each.source, each.value, each.highest) for each in found.utilisation][:2] == [
        ("cpu_percent", 60, 70),
        ("memory_percent", 40, 40),
    ]
    assert [each.source for each in found.saturation] == ["worker_queue_depth"]
    assert [each.source for each in found.resource_errors] == ["network_errors_total"]


@pytest.mark.parametrize(("window", "parts", "since"), [("5m", 5, "12:03"), ("30m", 30, "11:38"), ("6h", 72, "06:10")])
def test_a_window_has_its_parts(window: str, parts: int, since: str) -> None:
    """The last one is the present one, which is not over yet."""
    found = seen(window=Window(window))

    assert (len(found.parts), f"{found.since:%H:%M}") == (parts, since)
    assert found.parts[-1].at <= NOW < found.parts[-1].at + Window(window).minutes * MINUTE
