"""Carry the trace of a request through its workflow: into logs, activities, children and the next run. It never waits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from temporalio import client, worker, workflow
from temporalio.api.common.v1 import Payload

from activities.headers import headers_of, trace_in
from activities.interceptor import ObservedActivities
from domain.trace import Trace, current_trace

if TYPE_CHECKING:
    from services.ports import Metrics, Spans

Headers = Mapping[str, Payload]


class Observed(client.Interceptor, worker.Interceptor):
    """One for client, worker and replayer; the replayer needs neither spans nor metrics."""

    def __init__(self, spans: "Spans | None", metrics: "Metrics | None") -> None:
        self._spans = spans
        self._metrics = metrics

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:  # noqa: A002
        return _Starting(next)

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:  # noqa: A002
        return ObservedActivities(next, self._spans, self._metrics)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[worker.WorkflowInboundInterceptor]:
        return _Inbound


class _Starting(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> client.WorkflowHandle[Any, Any]:  # noqa: A002
        trace = current_trace.get()
        if trace is not None:
            input.headers = {**input.headers, **headers_of(trace)}
        return await self.next.start_workflow(input)


class _Inbound(worker.WorkflowInboundInterceptor):
    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:  # noqa: A002
        current_trace.set(_trace())
        return await self.next.execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:  # noqa: A002
        current_trace.set(_trace())
        await self.next.handle_signal(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:  # noqa: A002
        current_trace.set(_trace())
        return await self.next.handle_update_handler(input)


class _Outbound(worker.WorkflowOutboundInterceptor):
    def start_activity(self, input: worker.StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        input.headers = _joined(input.headers)
        return self.next.start_activity(input)

    async def start_child_workflow(
        self,
        input: worker.StartChildWorkflowInput,  # noqa: A002
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        input.headers = _joined(input.headers)
        return await self.next.start_child_workflow(input)

    def continue_as_new(self, input: worker.ContinueAsNewInput) -> Any:  # noqa: A002
        input.headers = _joined(input.headers)
        self.next.continue_as_new(input)


def _trace() -> Trace:
    """The story's own trace, whoever signals: a workflow is told once whose it is."""
    told = workflow.info()
    return trace_in(told.headers, workflow_id=told.workflow_id, run_id=told.run_id)


def _joined(headers: Headers) -> Headers:
    return {**headers, **headers_of(_trace())}
