"""Workflows as they must not become: each is the real one with one thing more or less to do."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.execution import RunStatus
    from domain.incident import Incident, Status
    from domain.outcome import Begun, RemediationOutcome
    from domain.preflight import Preflighted
    from domain.recovery import RecoveryOutcome
    from domain.refs import FeedRef, IncidentRef, MonitorRef, PlanErrand, PlanRef, RecoveryRef, RunRef
    from workflows.feed import FeedWorkflow
    from workflows.incident import IncidentWorkflow
    from workflows.monitor import MonitorWorkflow
    from workflows.pipeline import PipelineWorkflow
    from workflows.plan import PlanWorkflow
    from workflows.recovery import RecoveryWorkflow
    from workflows.remediation import RemediationWorkflow


@workflow.defn(name="PipelineWorkflow")
class Longer(PipelineWorkflow):
    """One more thing to do first."""

    @workflow.init
    def __init__(self, ref: RunRef) -> None:
        super().__init__(ref)

    @workflow.run
    async def run(self, ref: RunRef) -> RunStatus:
        await workflow.sleep(1)
        return await super().run(ref)


@workflow.defn(name="PipelineWorkflow")
class Shorter(PipelineWorkflow):
    """Without the last thing it does."""

    @workflow.init
    def __init__(self, ref: RunRef) -> None:
        super().__init__(ref)

    @workflow.run
    async def run(self, ref: RunRef) -> RunStatus:
        return await super().run(ref)

    async def _finish(self) -> RunStatus:
        return RunStatus.SUCCEEDED


@workflow.defn(name="IncidentWorkflow")
class Undiagnosed(IncidentWorkflow):
    """Plans without knowing why."""

    @workflow.init
    def __init__(self, ref: IncidentRef) -> None:
        super().__init__(ref)

    @workflow.run
    async def run(self, ref: IncidentRef) -> Status:
        return await super().run(ref)

    async def _diagnose(self, ref: IncidentRef, incident: Incident) -> None:
        """Nothing."""


@workflow.defn(name="PlanWorkflow")
class Unasked(PlanWorkflow):
    """Acts without asking anybody."""

    @workflow.init
    def __init__(self, ref: PlanRef) -> None:
        super().__init__(ref)

    @workflow.run
    async def run(self, ref: PlanRef) -> Status:
        return await super().run(ref)

    async def _permission(self, ref: PlanRef, preflight: Preflighted) -> Status | None:
        return None


@workflow.defn(name="RemediationWorkflow")
class Unverified(RemediationWorkflow):
    """Believes itself."""

    @workflow.init
    def __init__(self, ref: PlanErrand) -> None:
        super().__init__(ref)

    @workflow.run
    async def run(self, ref: PlanErrand) -> RemediationOutcome:
        return await super().run(ref)

    async def _verify(self, begun: Begun) -> RemediationOutcome:
        return RemediationOutcome.VERIFIED


@workflow.defn(name="RecoveryWorkflow")
class Unrecorded(RecoveryWorkflow):
    """Keeps what came of it to itself."""

    @workflow.init
    def __init__(self, ref: RecoveryRef) -> None:
        super().__init__(ref)

    @workflow.run
    async def run(self, ref: RecoveryRef) -> RecoveryOutcome:
        return await super().run(ref)

    async def _finish(self, ref: RecoveryRef, outcome: RecoveryOutcome) -> None:
        """Nothing."""


@workflow.defn(name="MonitorWorkflow")
class Unjudged(MonitorWorkflow):
    """Sees what is odd and does nothing."""

    @workflow.init
    def __init__(self, ref: MonitorRef) -> None:
        super().__init__(ref)

    @workflow.run
    async def run(self, ref: MonitorRef) -> None:
        await super().run(ref)

    async def _judge(self) -> None:
        """Nothing."""


@workflow.defn(name="FeedWorkflow")
class Later(FeedWorkflow):
    """Waits before it follows anything."""

    @workflow.init
    def __init__(self, ref: FeedRef) -> None:
        super().__init__(ref)

    @workflow.run
    async def run(self, ref: FeedRef) -> None:
        await workflow.sleep(1)
        await super().run(ref)


MUTANTS: dict[type, str] = {
    Later: "follow",
    Longer: "finish_run",
    Shorter: "finish_run",
    Undiagnosed: "diagnose",
    Unasked: "open_approval",
    Unverified: "verify",
    Unrecorded: "finish_recovery",
    Unjudged: "judge_anomalies",
}
"""Each with an activity of the histories that it cannot replay."""
