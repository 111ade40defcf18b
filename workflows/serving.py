"""Ask a pool that may have no worker: people hear of it, at a rising interval, and the wait has an end."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.watching import Watching
    from domain.execution import Unserved
    from workflows import options
    from workflows.trying import is_untouched

T = TypeVar("T")

_RARELY = timedelta(hours=1)


async def served(ask: Callable[[timedelta], Awaitable[T]], work: Unserved, *, until: datetime) -> T:
    """What `ask` answers; it is told within what time a worker has to take it up, and asked again when none has.

    Raises:
        ActivityError: nobody has taken it up by `until`, or what came of it after somebody had.
    """
    within = options.PICKED_UP_WITHIN
    while True:
        try:
            return await ask(within)
        except ActivityError as error:
            if not is_untouched(error):
                raise
            await workflow.execute_activity_method(Watching.note_unserved, work, task_queue=Watching.queue, **options.RECORD)
            if workflow.now() >= until:
                raise
        within = max(min(2 * within, _RARELY, until - workflow.now()), options.PICKED_UP_WITHIN)
