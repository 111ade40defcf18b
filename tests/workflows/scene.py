"""An org with its people and a pipeline that has passed once, and the ways in which its story goes on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from domain.approval import Approval, ApprovalStatus, Choice
from domain.base import ExecutionId, IncidentId
from domain.execution import Execution, RunStatus
from domain.identity import Caller
from domain.incident import Incident, Status
from domain.pipeline import PipelineSpec
from domain.plan import PlanState
from domain.refs import RunRef
from domain.versions import Pipeline
from services.approvals import Submitted
from tests.database import Tenant
from tests.engine import World, until
from tests.pipelines import apply

CODE = {
    "gate.py": """
        import json, os, pathlib, sys, time
        config = json.loads(pathlib.Path(os.environ["SUTURE_CONFIG"]).read_text())
        folder, outputs = pathlib.Path(config["folder"]), pathlib.Path(os.environ["SUTURE_OUTPUTS"])
        def stay(stage):
            if not (folder / f"{stage}-began").exists():
                (folder / f"{stage}-began").touch()
            until = time.monotonic() + 18
            while (folder / f"hold-{stage}").exists() and time.monotonic() < until:
                time.sleep(0.02)
        def pass_by(stage):
            if os.environ.get("SUTURE_DRY_RUN"):
                return stay("rehearsal")
            if (folder / f"flaky-{stage}").exists():
                (folder / f"flaky-{stage}").rename(folder / f"was-flaky-{stage}")
                sys.exit("upstream says 503 service unavailable")
            stay(stage)
            if (folder / f"fail-{stage}").exists():
                sys.exit("the rows are wrong")
    """,
    "read.py": """
        from gate import outputs, pass_by
        pass_by("read")
        (outputs / "rows.csv").write_text("time,value\\n1,2\\n")
    """,
    "check.py": """
        import os, pathlib, sys
        from gate import config, outputs, pass_by
        header = pathlib.Path(os.environ["SUTURE_INPUTS"], "read", "rows.csv").read_text().splitlines()[0].split(",")
        if config["column"] not in header:
            sys.exit(f"column '{config['column']}' not found; present: {', '.join(header)}")
        pass_by("check")
        (outputs / "ok").write_text("ok")
    """,
}


def a_gated_spec(folder: Path, *, environment: str, heal_within: str, dry_run: bool) -> PipelineSpec:
    stage = {"uses": ["column", "folder"], "timeout": "20s", "dry_run": dry_run}
    return PipelineSpec.model_validate(
        {
            "pipeline": "orders",
            "environment": environment,
            "owner": "data-platform",
            "code": "./src",
            "heal_within": heal_within,
            "config": {"column": "value", "folder": str(folder)},
            "stages": [
                {"name": "read", "run": ["python", "-m", "read"], **stage},
                {"name": "check", "run": ["python", "-m", "check"], "needs": ["read"], **stage},
            ],
        }
    )


@dataclass(frozen=True)
class Scene:
    """`author` wrote the pipeline and starts its runs; `approver` and `operator` have no hand in it."""

    world: World
    tenant: Tenant
    author: Caller
    approver: Caller
    operator: Caller
    folder: Path
    pipeline: Pipeline

    @property
    def services(self):
        return self.world.services

    async def start(self) -> Execution:
        return await self.services.runs.start(self.author, self.pipeline.id)

    async def configure(self, column: str, *, by: Caller | None = None) -> Pipeline:
        config = {"column": column, "folder": str(self.folder)}
        return await self.services.pipelines.configure(by or self.author, self.pipeline.id, config)

    async def break_and_run(self) -> Execution:
        """A bad config change, and a run that waits for its healing."""
        await self.configure("valeu")
        run = await self.start()
        return await self.until_run(run.id, RunStatus.WAITING)

    async def run(self, execution: ExecutionId) -> Execution:
        return (await self.services.runs.get(self.author, execution)).execution

    async def until_run(self, execution: ExecutionId, *statuses: RunStatus, within: float = 60) -> Execution:
        await until(lambda: self._is(execution, statuses), within=within, why=f"the run becomes {' or '.join(statuses)}")
        return await self.run(execution)

    async def _is(self, execution: ExecutionId, statuses: tuple[RunStatus, ...]) -> bool:
        return (await self.run(execution)).status in statuses

    async def incident(self, incident: IncidentId | None) -> Incident:
        return await self.services.incidents.get(self.author, incident)

    async def until_incident(self, incident: IncidentId | None, status: Status) -> Incident:
        async def so() -> bool:
            return (await self.incident(incident)).status is status

        await until(so, why=f"the incident becomes {status}")
        return await self.incident(incident)

    async def approval(self, *, other_than: Approval | None = None) -> Approval:
        """The one approval that is asked for now."""
        found: list[Approval] = []

        async def asked() -> bool:
            found[:] = await self.approvals(ApprovalStatus.OPEN)
            return bool(found) and (other_than is None or found[0].id != other_than.id)

        await until(asked, why="an approval is asked for")
        return found[0]

    async def approvals(self, status: ApprovalStatus | None = None) -> list[Approval]:
        return await self.services.approvals.page(self.author, status=status, after=None, limit=50)

    async def decide(self, approval: Approval, choice: Choice = Choice.APPROVE, *, by: Caller | None = None) -> Submitted:
        return await self.services.approvals.submit(by or self.approver, approval.id, choice, reason="seen")

    async def plans(self, incident: IncidentId | None) -> list[PlanState]:
        """The newest first."""
        return await self.services.planning.of_incident(self.author, incident)

    async def current(self) -> Pipeline:
        return await self.services.pipelines.get(self.author, self.pipeline.id)

    async def actions(self, incident: IncidentId | None) -> list[str]:
        """What the audit log says of the incident, in order."""
        return [each.action for each in await self.services.incidents.timeline(self.author, incident)]

    async def until_told(self, incident: IncidentId | None, action: str, *, times: int = 1) -> None:
        async def told() -> bool:
            return (await self.actions(incident)).count(action) >= times

        await until(told, why=f"{action} is in the audit log {times} times")

    def handle(self, workflow_id: str) -> WorkflowHandle:
        return self.world.client.get_workflow_handle(workflow_id)

    async def story_of(self, incident: IncidentId | None) -> WorkflowHandle:
        """The workflow that carries it; the relay may not have started it yet."""
        return await self._begun((await self.incident(incident)).carrier)

    def run_of(self, execution: Execution) -> WorkflowHandle:
        ref = RunRef(org=self.tenant.org, pipeline=execution.pipeline, execution=execution.id)
        return self.handle(ref.workflow_id)

    async def carried(self, plan: PlanState) -> Status:
        """How the workflow that carries a suggested plan ends."""
        return Status(await (await self._begun(plan.carrier)).result())

    async def _begun(self, workflow_id: str) -> WorkflowHandle:
        async def exists() -> bool:
            return await self._exists(workflow_id)

        await until(exists, why=f"{workflow_id} has begun")
        return self.handle(workflow_id)

    async def _exists(self, workflow_id: str) -> bool:
        try:
            await self.handle(workflow_id).describe()
        except RPCError:
            return False
        return True

    def remediation_of(self, plan: PlanState) -> WorkflowHandle:
        return self.handle(f"fix/{self.tenant.org}/{plan.plan.id}")

    async def advance(self, by: timedelta, *handles: WorkflowHandle) -> None:
        await self.world.advance(self.tenant.org, by, *handles)

    def hold(self, stage: str) -> None:
        (self.folder / f"{stage}-began").unlink(missing_ok=True)
        (self.folder / f"hold-{stage}").touch()

    def release(self, stage: str, *, failing: bool = False) -> None:
        if failing:
            (self.folder / f"fail-{stage}").touch()
        (self.folder / f"hold-{stage}").unlink()

    async def until_held(self, stage: str) -> None:
        async def began() -> bool:
            return (self.folder / f"{stage}-began").exists()

        await until(began, why=f"stage {stage} is held")

    async def chain_is_sound(self) -> bool:
        return (await self.services.audit.verify(self.tenant.org)).fault is None


SetScene = Callable[..., Awaitable[Scene]]


async def a_pipeline(world: World, author: Caller, folder: Path, environment: str, heal_within: str, dry_run: bool) -> Pipeline:
    spec = a_gated_spec(folder, environment=environment, heal_within=heal_within, dry_run=dry_run)
    return await apply(world.services, author, spec, CODE)
