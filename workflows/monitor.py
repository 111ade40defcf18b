"""Watch one service for as long as it is heard of: gather, detect, confirm, open incidents. It never plans."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.governance import Governance
    from activities.monitoring import Monitoring
    from domain.refs import MonitorRef
    from domain.watch import Watched
    from workflows import details, options


_WAITS = "waits-for-what-is-due"
_A_MOMENT = timedelta(seconds=1)
"""So that what is due is late when it is looked for."""


@workflow.defn
class MonitorWorkflow:
    @workflow.init
    def __init__(self, ref: MonitorRef) -> None:
        self._ref = ref
        self._woken = 0

    @workflow.signal
    def wake(self) -> None:
        """Something has come in; it may be while this falls asleep."""
        self._woken += 1

    @workflow.run
    async def run(self, ref: MonitorRef) -> None:
        """Until nothing comes any more and nothing is waited for; whatever comes later begins it anew."""
        while not workflow.info().is_continue_as_new_suggested():
            woken = self._woken
            watched = await self._watch()
            if watched.is_ripe:
                await self._judge()
            elif watched.is_quiet and await self._rest() and self._woken == woken and not await self._waits(woken):
                return
        workflow.continue_as_new(ref, search_attributes=details.of_monitor(ref))

    async def _waits(self, woken: int) -> bool:
        """Whether there is something to look at again: it has woken, or what was due by now may be missing."""
        if not workflow.patched(_WAITS):
            return False
        due = await workflow.execute_activity_method(Monitoring.due, self._ref, task_queue=Monitoring.queue, **options.RECORD)
        if due is None:
            return self._woken != woken
        details.show("waits for what is due")
        try:
            await workflow.wait_condition(lambda: self._woken != woken, timeout=due + _A_MOMENT)
        except TimeoutError:
            details.show("looks for what was due")
        return True

    async def _watch(self) -> Watched:
        """Gather and detect, until an anomaly wants a verdict or nothing has come for a while."""
        details.show("watching")
        return await workflow.execute_activity_method(Monitoring.watch, self._ref, task_queue=Monitoring.queue, **options.WATCH)

    async def _judge(self) -> None:
        """What is confirmed opens an incident, or joins the open one; what has gone is dismissed."""
        opened = await workflow.execute_activity_method(
            Governance.judge_anomalies, self._ref, task_queue=Governance.queue, **options.RECORD
        )
        if opened is not None:
            details.show(f"opened {opened.shown}")

    async def _rest(self) -> bool:
        return await workflow.execute_activity_method(Monitoring.rest, self._ref, task_queue=Monitoring.queue, **options.RECORD)
