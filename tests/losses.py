"""Acknowledgements that get lost: the work is done, and whoever asked for it hears that it failed."""

from temporalio import activity
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.base import OrgId


class Losses(ClientInterceptor, Interceptor):
    """For the orgs in `of`, the first answer of every activity is lost on its way."""

    def __init__(self) -> None:
        self.of: set[OrgId] = set()
        self.lost: list[str] = []
        self._seen: set[str] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Losing(next, self)

    def is_first(self, workflow_id: str, what: str, args: object) -> bool:
        key = f"{workflow_id}|{what}|{args}"
        fresh = str(OrgId.of(workflow_id.split("/")[1])) in {str(each) for each in self.of} and key not in self._seen
        if fresh:
            self._seen.add(key)
            self.lost.append(what)
        return fresh


class _Losing(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, losses: Losses) -> None:
        super().__init__(following)
        self._losses = losses

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002
        told = activity.info()
        done = await self.next.execute_activity(input)
        if self._losses.of and self._losses.is_first(told.workflow_id or "", told.activity_type, input.args):
            raise ConnectionError("the acknowledgement was lost")
        return done
