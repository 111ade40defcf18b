"""The one door into the engine from outside; implements `services.ports.Engine`."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from domain import errors
from domain.approval import Settled
from domain.refs import FeedRef, IncidentRef, MonitorRef, PlanRef, RecoveryRef, RequestRef, RunRef
from workflows import details
from workflows.carrying import Carrying
from workflows.feed import FeedWorkflow
from workflows.incident import IncidentWorkflow
from workflows.monitor import MonitorWorkflow
from workflows.pipeline import PipelineWorkflow
from workflows.plan import PlanWorkflow
from workflows.recovery import RecoveryWorkflow
from workflows.registry import plugin

if TYPE_CHECKING:
    from services.ports import Metrics, Spans

_RPC = timedelta(seconds=5)
_GONE = {RPCStatusCode.NOT_FOUND}


async def connect(
    address: str,
    converter: DataConverter,
    *,
    namespace: str = "default",
    tls: TLSConfig | None = None,
    runtime: Any = None,
    spans: "Spans | None" = None,
    metrics: "Metrics | None" = None,
) -> Client:
    """Raises UnavailableError: nobody answers at `address`."""
    try:
        return await Client.connect(
            address,
            namespace=namespace,
            plugins=[plugin(converter, spans=spans, metrics=metrics)],
            tls=tls or False,
            runtime=runtime,
        )
    except RuntimeError as error:
        raise errors.UnavailableError(f"the workflow engine does not answer at {address}; is it running?") from error


class TemporalEngine:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def start_run(self, ref: RunRef) -> None:
        await self._start_or_signal(
            PipelineWorkflow.run,
            ref,
            id=ref.workflow_id,
            task_queue="scheduler",
            start_signal="wake",
            search_attributes=_attributes(str(ref.org)),
            static_summary=f"run {ref.execution.shown}",
        )

    async def wake_incident(self, ref: IncidentRef, carrier: str) -> None:
        await self._start_or_signal(
            IncidentWorkflow.run,
            ref,
            id=carrier,
            task_queue="orchestrator",
            start_signal="event",
            start_signal_args=[ref.id],
            search_attributes=details.of_incident(ref.org, carrier),
            static_summary=f"incident {ref.id.shown}",
        )

    async def wake_monitor(self, ref: MonitorRef) -> None:
        await self._start_or_signal(
            MonitorWorkflow.run,
            ref,
            id=ref.workflow_id,
            task_queue="orchestrator",
            start_signal="wake",
            search_attributes=details.of_monitor(ref),
            static_summary=f"watches {ref.service} in {ref.environment}",
        )

    async def wake_feed(self, ref: FeedRef) -> None:
        await self._start_or_signal(
            FeedWorkflow.run,
            ref,
            id=ref.workflow_id,
            task_queue="orchestrator",
            start_signal="wake",
            search_attributes=_attributes(str(ref.org)),
            static_summary=f"follows the database of {ref.connector.shown}",
        )

    async def carry_plan(self, ref: PlanRef, carrier: str) -> None:
        await self._start_once(PlanWorkflow.run, ref, carrier, "orchestrator", str(ref.org))

    async def start_recovery(self, ref: RecoveryRef) -> None:
        await self._start_once(RecoveryWorkflow.run, ref, ref.workflow_id, "replay", str(ref.org))

    async def wake(self, workflow_id: str) -> None:
        try:
            with _translated():
                await self._client.get_workflow_handle(workflow_id).signal("wake", rpc_timeout=_RPC)
        except errors.NotFoundError:
            return

    async def decide(self, workflow_id: str, request: RequestRef, *, within: timedelta) -> Settled | None:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(within.total_seconds()):
                update = await handle.start_update(
                    Carrying.decide, request.id, id=str(request.id), wait_for_stage=WorkflowUpdateStage.ACCEPTED
                )
                return await update.result()
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            _go_on_cancelling(error)
            return None
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from error
        except RPCError as error:
            if error.status in _GONE:
                raise errors.ApprovalClosedError("nobody waits for this decision any more") from error
            return None

    async def ping(self) -> None:
        """Raises UnavailableError: the engine does not serve."""
        with _translated():
            if not await self._client.service_client.check_health(timeout=_RPC):
                raise errors.UnavailableError("the workflow engine does not serve")

    async def _start_or_signal(self, run: Any, ref: Any, **options: Any) -> None:
        """Signal the open workflow; where there is none, one begins with the signal."""
        policy = WorkflowIDConflictPolicy.USE_EXISTING
        with _translated():
            await self._client.start_workflow(run, ref, id_conflict_policy=policy, rpc_timeout=_RPC, **options)

    async def _start_once(self, run: Any, ref: Any, workflow_id: str, queue: str, org: str) -> None:
        try:
            with _translated():
                await self._client.start_workflow(
                    run,
                    ref,
                    id=workflow_id,
                    task_queue=queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    search_attributes=_attributes(org),
                    rpc_timeout=_RPC,
                )
        except WorkflowAlreadyStartedError:
            return


class _translated:  # noqa: N801
    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RPCError):
            if error.status in _GONE:
                raise errors.NotFoundError("no such workflow") from error
            raise errors.UnavailableError("the workflow engine does not answer; try again") from error


def _go_on_cancelling(error: Exception) -> None:
    """The SDK turns a cancellation of its caller into an error of its own; it must not end there."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def _attributes(org: str) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(details.ORG_ID, org)])


def _refusal(error: WorkflowUpdateFailedError) -> errors.HealError:
    """The refusal that an activity or a validator raised, as the error it was."""
    cause: BaseException | None = error.cause
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    kinds = {kind.code: kind for kind in _tree(errors.HealError)}
    kind = kinds.get(cause.type or "", errors.ConflictError) if isinstance(cause, ApplicationError) else errors.ConflictError
    return kind(cause.message if isinstance(cause, ApplicationError) else "the decision was refused")


def _tree(kind: type[errors.HealError]) -> list[type[errors.HealError]]:
    return [kind, *(leaf for branch in kind.__subclasses__() for leaf in _tree(branch))]
