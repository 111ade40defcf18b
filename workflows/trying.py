"""Ask again for what may be repeated: an outage is waited out, lost workers and broken code are counted."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType, is_cancelled_exception
from temporalio.exceptions import TimeoutError as EngineTimeoutError

with workflow.unsafe.imports_passed_through():
    from domain.errors import UnavailableError

T = TypeVar("T")

_TRIES = 3
_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=2)
_AT_MOST = timedelta(days=1)
"""However long somebody waits: a history that only asks again has to end before it is full."""


class Tries:
    """The tries at one piece of work: three at most that end in silence or in a fault of ours, any number in an outage."""

    def __init__(self, until: datetime) -> None:
        self._until = min(until, workflow.now() + _AT_MOST)
        self._spent = 0
        self._pause = _PAUSE

    async def next_after(self, error: ActivityError) -> bool:
        """Wait until the next try is due; False where none is: it was refused, enough were spent, or time is up."""
        if is_refused(error):
            return False
        pause = self._pause
        if is_outage(error):
            self._pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            self._spent += 1
        if self._spent == _TRIES or workflow.now() >= self._until:
            return False
        await workflow.sleep(pause, summary="ask again")
        return True


async def insist(ask: Callable[[], Awaitable[T]], *, until: datetime) -> T:
    """What `ask` answers, sooner or later.

    Raises:
        ActivityError: the last try's, when no other is due.
    """
    tries = Tries(until)
    while True:
        try:
            return await ask()
        except ActivityError as error:
            if is_cancelled_exception(error) or not await tries.next_after(error):
                raise


def is_refused(error: ActivityError) -> bool:
    """Whether the worker said no, and no repetition would change that."""
    return isinstance(error.cause, ApplicationError) and error.cause.non_retryable


def is_outage(error: ActivityError) -> bool:
    """Whether a worker lives and says that something it needs does not answer: to ask again costs nothing."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == UnavailableError.code


def is_untouched(error: ActivityError) -> bool:
    """Whether no worker picked it up."""
    return isinstance(error.cause, EngineTimeoutError) and error.cause.type is TimeoutType.SCHEDULE_TO_START
