"""Workflows as they must not become: each is the real one with one thing more or less to do."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.execution import RunStatus
    from domain.refs import RunRef
    from workflows.pipeline import PipelineWorkflow


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
