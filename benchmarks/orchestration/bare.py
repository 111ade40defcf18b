"""The floor: k sequential activities that do nothing, with payloads as large as an incident's."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

ALONE = "bare"
"""The queue of the bare workflow; its activities run on the product's own queue."""


class Noop:
    def __init__(self, answer: int) -> None:
        self.answer(answer)

    def answer(self, length: int) -> None:
        """Answer with so many characters from now on."""
        self._answer = "a" * length

    @activity.defn
    async def noop(self, asked: str) -> str:
        return self._answer


@workflow.defn
class BareWorkflow:
    @workflow.run
    async def run(self, activities: int, asked: int) -> int:
        for _ in range(activities):
            await workflow.execute_activity_method(
                Noop.noop,
                "q" * asked,
                task_queue="io",
                start_to_close_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10)),
            )
        return activities
