"""The whole story on the real services: a run fails, its incident is healed by a retry without a person, the run ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.service import RPCError, RPCStatusCode

from adapters.runners.supervisor import LocalHost
from domain.execution import RunStatus
from domain.incident import Status
from domain.refs import RunRef
from domain.stage import Outcome, ProbeAnswer, Probed, StageCommand, StageResult, SupervisorHandle
from tests.pipelines import a_spec, apply
from workflows.pipeline import PipelineWorkflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from temporalio.client import Client

    from domain.base import ExecutionId
    from domain.identity import Caller
    from domain.versions import Pipeline
    from services.registry import Services

_LOG = "upstream answered 503 Service Unavailable"
_FRAGILE = "read"


class Stages:
    """Stages that take no time: once `calm` is gone, the first start of the fragile stage of each run fails."""

    def __init__(self, calm: Path) -> None:
        self._calm = calm
        self._failed: set[ExecutionId] = set()
        self._host = LocalHost().name()

    async def run(
        self,
        command: StageCommand,
        secrets: Mapping[str, str],
        *,
        heartbeat: Callable[[], None],
        started: Callable[[SupervisorHandle], Awaitable[None]],
        held: Callable[[], bool] | None = None,
    ) -> StageResult:
        await started(SupervisorHandle(host=self._host, pid=1, start_time=1))
        passes = self._calm.exists() or command.dry_run or command.stage != _FRAGILE or command.execution in self._failed
        if not passes:
            self._failed.add(command.execution)
        return _result(passed=passes)

    async def probe(
        self,
        command: StageCommand,
        secrets: Mapping[str, str],
        *,
        heartbeat: Callable[[], None],
        started: Callable[[SupervisorHandle], Awaitable[None]],
        held: Callable[[], bool] | None = None,
    ) -> Probed:
        return Probed(answer=ProbeAnswer.DONE, attempt=_result(passed=True))


class Stories:
    """One pipeline per lane, so that no two stories share an incident."""

    def __init__(self, services: Services, client: Client, caller: Caller) -> None:
        self._services = services
        self._client = client
        self._caller = caller
        self._free: asyncio.Queue[Pipeline] = asyncio.Queue()
        self.last: dict[str, tuple[str, str]] = {}

    async def prepare(self, lanes: int) -> None:
        """Pipelines whose stages have passed once, which is what the diagnosis compares with."""
        for number in range(lanes):
            spec = a_spec(name=f"orders-{number}", environment="dev")
            pipeline = await apply(self._services, self._caller, spec)
            execution = await self._services.runs.start(self._caller, pipeline.id)
            await self._ended(RunRef(org=self._caller.org, pipeline=pipeline.id, execution=execution.id))
            self._free.put_nowait(pipeline)

    async def once(self, _: int) -> None:
        """From the request until run and incident have ended."""
        pipeline = await self._free.get()
        execution = await self._services.runs.start(self._caller, pipeline.id)
        run = RunRef(org=self._caller.org, pipeline=pipeline.id, execution=execution.id)
        status = await self._ended(run)
        found = (await self._services.runs.get(self._caller, execution.id)).execution.incident
        assert found is not None, f"the run {status} without an incident"
        incident = await self._services.incidents.get(self._caller, found)
        closed = await self._client.get_workflow_handle(incident.carrier, result_type=Status).result()
        assert (status, closed) == (RunStatus.SUCCEEDED, Status.VERIFIED), f"the run {status}, the incident {closed}"
        self.last[pipeline.name] = (run.workflow_id, incident.carrier)
        self._free.put_nowait(pipeline)

    async def workflows(self) -> list[list[str]]:
        """The workflows of the last story of each lane: the run, the incident, its remediation."""
        return [[run, carrier, await self._child(carrier)] for run, carrier in self.last.values()]

    async def _child(self, carrier: str) -> str:
        events = (await self._client.get_workflow_handle(carrier).fetch_history()).events
        started = (event.start_child_workflow_execution_initiated_event_attributes for event in events)
        return next(each.workflow_id for each in started if each.workflow_id)

    async def _ended(self, run: RunRef) -> RunStatus:
        handle = self._client.get_workflow_handle_for(PipelineWorkflow.run, run.workflow_id)
        while True:
            try:
                return await handle.result()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            await asyncio.sleep(0.01)


def _result(*, passed: bool) -> StageResult:
    at = datetime.now(UTC)
    return StageResult(
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        exit_code=0 if passed else 1,
        signal=None,
        timed_out=False,
        started_at=at,
        ended_at=at,
        wall=timedelta(0),
        cpu=timedelta(0),
        peak_memory=0,
        output_bytes=len(_LOG),
        output_digest="0" * 64,
        head="" if passed else _LOG,
        tail="",
        truncated=False,
        outputs="0" * 64 if passed else None,
    )
