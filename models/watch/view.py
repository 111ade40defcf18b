"""Read off the added-up minutes of a service how it does: what counts as its rate, its errors, and what it uses.

Metrics are known by the names that Prometheus and OpenTelemetry recommend. Without any that tell of requests, the log lines
do: a line is a thing done, and one of an error a thing that failed.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache

from domain.base import Instant, Value
from domain.service_view import Figure, Part, ServiceView, State, Window
from domain.watch import Sum
from models.logs.levels import Level, of_word

MOST_RESOURCES = 20
_NAME = re.compile(r"[^{]*")
_END = r"(?:\{.*)?$"
_RATE = re.compile(rf"(?:^|[._])(?:requests|calls|rows|throughput(?:_rows)?|ops|messages)_(?:per_second|s|rate){_END}")
_SHARE = re.compile(rf"(?:^|[._])(?:failure|error)_(?:rate|ratio|share){_END}")
_DURATION = re.compile(rf"(?:^|[._])(?:duration|latency|execution_time|response_time)(?:_(s|seconds|ms|milliseconds))?{_END}")
_UTILISATION = re.compile(
    rf"(?:^|[._])(?:\w*(?:cpu|memory|mem|disk|pool|heap)\w*_(?:percent|ratio|utili[sz]ation|usage))|(?:utili[sz]ation){_END}"
)
_SATURATION = re.compile(rf"(?:^|[._])\w*(?:queue|backlog|pending|waiting|lag|load1|load5|throttled)\w*{_END}")
_ERRORS = re.compile(rf"(?:^|[._])\w*(?:errors|failures|dropped|drops|oom_kills|restarts)\w*{_END}")
_BAD = frozenset({Level.ERROR, Level.CRITICAL})
_LINES = "log lines"


class _Told(Value):
    """What the sums of one kind of figure say together."""

    count: int
    mean: float | None
    highest: float | None
    last_at: Instant
    source: str


def view(sums: Sequence[Sum], *, service: str, environment: str, window: Window, now: Instant) -> ServiceView:
    """Of all sums of the window's parts."""
    since = window.began(now)
    metrics = [each for each in sums if each.kind == "metric"]
    lines = [each for each in sums if each.kind == "log"]
    length = timedelta(minutes=window.minutes)
    places = [since + length * number for number in range(window.parts)]
    by_part: dict[Instant, list[Sum]] = {at: [] for at in places}
    for each in sums:
        if each.at in by_part:
            by_part[each.at].append(each)
    parts = [_part(of_it, at, min(length, now - at)) for at, of_it in by_part.items()]
    return ServiceView(
        service=service,
        environment=environment,
        window=window,
        since=since,
        at=now,
        rate=_rate(metrics, lines, now - since),
        errors=_errors(metrics, lines),
        duration=_duration(metrics),
        utilisation=_resources(metrics, _UTILISATION, "share or percent, as it is told"),
        saturation=_resources(metrics, _SATURATION, "as it is told"),
        resource_errors=_resources(metrics, _ERRORS, "as it is told"),
        parts=tuple(parts),
    )


def _part(sums: Sequence[Sum], at: Instant, length: timedelta) -> Part:
    metrics = [each for each in sums if each.kind == "metric"]
    lines = [each for each in sums if each.kind == "log"]
    return Part(
        at=at,
        rate=_rate(metrics, lines, length).value,
        errors=_errors(metrics, lines).value,
        duration=_duration(metrics).value,
    )


def _rate(metrics: Sequence[Sum], lines: Sequence[Sum], length: timedelta) -> Figure:
    unit = "1/s"
    if (told := _told(metrics, _RATE)) is not None:
        return _figure(told, unit)
    if not lines:
        return Figure(unit=unit)
    seconds = max(1.0, length.total_seconds())
    value = sum(each.count for each in lines) / seconds
    return Figure(state=State.PRESENT, value=value, unit=unit, source=_LINES, last_at=max(each.at for each in lines))


def _errors(metrics: Sequence[Sum], lines: Sequence[Sum]) -> Figure:
    unit = "share"
    if (told := _told(metrics, _SHARE)) is not None:
        return _figure(told, unit)
    if not lines:
        return Figure(unit=unit)
    bad = sum(each.count for each in lines if of_word(each.subject) in _BAD)
    value = bad / sum(each.count for each in lines)
    return Figure(state=State.PRESENT, value=value, unit=unit, source=_LINES, last_at=max(each.at for each in lines))


def _duration(metrics: Sequence[Sum]) -> Figure:
    """Those that are told in milliseconds are a thousandth; where both are, what is told in seconds counts."""
    by_unit: dict[bool, list[Sum]] = {True: [], False: []}
    for each in metrics:
        if (is_milli := _is_milli(each.subject)) is not None:
            by_unit[is_milli].append(each)
    is_short = not by_unit[False]
    told = _told(by_unit[is_short], _DURATION)
    return _figure(told, "s", times=0.001 if is_short else 1.0)


def _resources(metrics: Sequence[Sum], pattern: re.Pattern[str], unit: str) -> tuple[Figure, ...]:
    """A figure for each metric, by its name."""
    names = sorted({each.subject for each in metrics if _matches(pattern, each.subject)})
    return tuple(
        _figure(_told([each for each in metrics if each.subject == name], pattern), unit) for name in names[:MOST_RESOURCES]
    )


def _told(metrics: Iterable[Sum], pattern: re.Pattern[str]) -> _Told | None:
    """Of all metrics of such a name together; None when none of them came."""
    found = [each for each in metrics if _matches(pattern, each.subject) and each.total is not None]
    if not found:
        return None
    count = sum(each.count for each in found)
    names = {each.subject for each in found}
    return _Told(
        count=count,
        mean=sum(each.total or 0.0 for each in found) / count,
        highest=max((each.highest for each in found if each.highest is not None), default=None),
        last_at=max(each.at for each in found),
        source=names.pop() if len(names) == 1 else ", ".join(sorted({_name(each) for each in names})),
    )


@lru_cache(maxsize=50_000)
def _matches(pattern: re.Pattern[str], subject: str) -> bool:
    """A name is asked about in each part of a window."""
    return pattern.search(subject) is not None


@lru_cache(maxsize=10_000)
def _is_milli(subject: str) -> bool | None:
    """Whether a duration of that name is in milliseconds; None when it is no duration."""
    found = _DURATION.search(subject)
    return None if found is None else (found[1] or "s").startswith("m")


def _name(subject: str) -> str:
    found = _NAME.match(subject)
    return found[0] if found else subject


def _figure(told: _Told | None, unit: str, times: float = 1.0) -> Figure:
    if told is None or told.mean is None:
        return Figure(unit=unit)
    return Figure(
        state=State.PRESENT,
        value=told.mean * times,
        highest=None if told.highest is None else told.highest * times,
        unit=unit,
        source=told.source,
        last_at=told.last_at,
    )
