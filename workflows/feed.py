"""Follow the database of one connector for as long as the connector is there and active."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.feeding import Feeding
    from domain.refs import FeedRef
    from workflows import details, options

_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(minutes=1)


@workflow.defn
class FeedWorkflow:
    @workflow.init
    def __init__(self, ref: FeedRef) -> None:
        self._ref = ref
        self._woken = 0
        self._pause = _SHORTEST

    @workflow.signal
    def wake(self) -> None:
        """The connector has changed: whoever follows it sees that, and whoever waits tries again at once."""
        self._woken += 1

    @workflow.run
    async def run(self, ref: FeedRef) -> None:
        """Until the connector is paused or gone; whoever changes it afterwards begins it anew."""
        while not workflow.info().is_continue_as_new_suggested():
            woken = self._woken
            details.show("follows")
            fed = await workflow.execute_activity_method(Feeding.follow, self._ref, task_queue=Feeding.queue, **options.FOLLOW)
            if fed.is_over and self._woken == woken:
                return
            if fed.has_begun or not fed.is_lost:
                self._pause = _SHORTEST
            if fed.is_lost:
                await self._wait(woken)
        workflow.continue_as_new(ref, search_attributes=workflow.info().typed_search_attributes)

    async def _wait(self, woken: int) -> None:
        """Each time twice as long for a database that is away; in an activity's retries nobody could be woken."""
        details.show("waits for the database")
        try:
            await workflow.wait_condition(lambda: self._woken != woken, timeout=self._pause)
        except TimeoutError:
            self._pause = min(2 * self._pause, _LONGEST)
