"""Which workflows run on which queue, and the one plugin that client, worker and replayer share."""

from typing import TYPE_CHECKING

from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.feed import FeedWorkflow
from workflows.incident import IncidentWorkflow
from workflows.interceptor import Observed
from workflows.monitor import MonitorWorkflow
from workflows.pipeline import PipelineWorkflow
from workflows.plan import PlanWorkflow
from workflows.recovery import RecoveryWorkflow
from workflows.remediation import RemediationWorkflow

if TYPE_CHECKING:
    from services.ports import Metrics, Spans

WORKFLOWS: dict[str, tuple[type, ...]] = {
    "scheduler": (PipelineWorkflow,),
    "orchestrator": (FeedWorkflow, IncidentWorkflow, MonitorWorkflow, PlanWorkflow, RemediationWorkflow),
    "replay": (RecoveryWorkflow,),
}
"""The queue of each workflow; activities name their own."""

PASSED_THROUGH = ("activities", "domain", "pydantic", "pydantic_core", "rfc8785", "annotated_types")


def sandbox() -> SandboxedWorkflowRunner:
    """The sandbox of worker, replayer and tests: our pure words pass through, everything else is loaded anew."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def plugin(converter: DataConverter, *, spans: "Spans | None" = None, metrics: "Metrics | None" = None) -> SimplePlugin:
    """What must be alike wherever a history is written or read."""
    return SimplePlugin("suture", data_converter=converter, workflow_runner=sandbox(), interceptors=[Observed(spans, metrics)])
