"""What arrives of a service, and a watcher that hears of it."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.watch import Arrival, Monitor
from models.watch.watcher import Watcher

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NEW = Monitor(version=0)


def line(second: float, text: str, severity: str = "info", *, told: timedelta = timedelta(0)) -> Arrival:
    at = BEGAN + timedelta(seconds=second)
    return Arrival(
        id=UUID(int=0),
        written=1,
        received_at=at,
        ts=at - told,
        kind="log",
        key="",
        value=None,
        text=text,
        severity=severity,
        labels={},
    )


def point(second: float, value: float, key: str = "load", **labels: str) -> Arrival:
    at = BEGAN + timedelta(seconds=second)
    return Arrival(
        id=UUID(int=0),
        written=1,
        received_at=at,
        ts=at,
        kind="metric",
        key=key,
        value=value,
        text=None,
        severity=None,
        labels=labels,
    )


def fresh() -> Watcher:
    return Watcher.restored(NEW, {}, (), BEGAN)


def again(watcher: Watcher, taken, templates) -> Watcher:
    """The watcher that another process makes of what was stored."""
    state = {(each.detector, each.subject): json.loads(json.dumps(each.state)) for each in watcher.unkept()}
    monitor = NEW.model_copy(update={"next_template": taken.mined.next_template, "lines": taken.mined.lines})
    return Watcher.restored(monitor, state, templates, BEGAN)


def said(taken, detector: str):
    """What that detector says."""
    return [each for each in taken.observations if each.detector == detector]


def usual(seconds: int) -> list[Arrival]:
    """Two lines a second, and an error a minute."""
    return [
        line(second + part / 2, f"request {second} served", "error" if second % 60 == 30 and part else "info")
        for second in range(seconds)
        for part in range(2)
    ]
