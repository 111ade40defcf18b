"""How long each class of activity may take, and how it is retried."""

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

_STEADY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
_ONCE = RetryPolicy(maximum_attempts=1)
PICKED_UP_WITHIN = timedelta(seconds=60)
OVERHEAD = timedelta(seconds=60)
WAITED_FOR = timedelta(hours=24)
"""How long an answer is waited for where nobody says until when."""
_SOONEST = timedelta(minutes=1)

RECORD: dict[str, Any] = {"start_to_close_timeout": timedelta(seconds=20), "retry_policy": _STEADY}
"""Reads and writes of our own records: they may be repeated, so they are, until they succeed."""

INFER: dict[str, Any] = {"start_to_close_timeout": timedelta(seconds=20), "retry_policy": _ONCE}
"""One try at an inference: how often it is asked again, `trying` says."""

WATCH: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": timedelta(seconds=20),
    "retry_policy": _STEADY,
}
"""A watch of minutes, taken up elsewhere when its worker is silent: it reads on from where the records say."""

FOLLOW: dict[str, Any] = WATCH | {"start_to_close_timeout": timedelta(hours=2)}
"""A connection to somebody's database, taken up elsewhere when its worker is silent."""

MUTATE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=5),
    "schedule_to_start_timeout": PICKED_UP_WITHIN,
    "retry_policy": _ONCE,
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}
"""One try at an effect: what comes of a lost one is found out, never assumed."""


def ends(waits_until: datetime | None) -> datetime:
    """When an answer is of no use any more to whoever waits for it."""
    return max(waits_until or workflow.now() + WAITED_FOR, workflow.now() + _SOONEST)


def policy(waits_until: datetime | None) -> dict[str, Any]:
    """Asks policy: unreachable means ask again, until nobody waits any more; then it is blocked."""
    return RECORD | {"schedule_to_close_timeout": ends(waits_until) - workflow.now()}


def rehearse(*, within: timedelta) -> dict[str, Any]:
    """One try at the dry-runs of a plan: how often they are asked for again, `trying` says."""
    return {
        "start_to_close_timeout": timedelta(minutes=30),
        "schedule_to_start_timeout": within,
        "heartbeat_timeout": timedelta(seconds=60),
        "retry_policy": _ONCE,
    }


def stage(*, timeout: timedelta, lease: timedelta, within: timedelta) -> dict[str, Any]:
    """One try at a stage, taken up `within` that time: lost when its worker is silent for one lease."""
    return MUTATE | {
        "start_to_close_timeout": timeout + OVERHEAD,
        "schedule_to_start_timeout": within,
        "heartbeat_timeout": lease,
    }


def settle(*, timeout: timedelta, lease: timedelta, within: timedelta) -> dict[str, Any]:
    """Find out what a lost worker left; asked again until its process is known to be dead, and elsewhere when silent."""
    return {
        "start_to_close_timeout": 3 * timeout + lease + OVERHEAD,
        "schedule_to_start_timeout": within,
        "heartbeat_timeout": lease,
        "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)),
    }
