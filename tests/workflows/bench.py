"""A run whose stages no worker picks up: the test itself is the worker, with hands of its own in place of processes."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.audit import AuditFilter, AuditItem
from domain.base import ExecutionId, IncidentId, PlanId, ResumptionId
from domain.execution import Attempt, Execution, Failure, RunStatus
from domain.identity import Caller, Role
from domain.incident import RESTING, Status
from domain.pipeline import PipelineSpec
from domain.refs import IncidentRef, RunRef, StageRef
from domain.resumption import Resumption
from domain.stage import Effect, Outcome, Probed, StageCommand, StageResult, SupervisorHandle
from domain.versions import Pipeline
from services.guard import Guard
from services.ledger import Ledger
from services.stages import Stages
from storage import remediations
from storage.engine import Database, new_id
from tests.database import Tenant
from tests.engine import World, until
from tests.pipelines import CODE, apply

LEASE = timedelta(seconds=2)
_ENVIRONMENT = text("insert into environments (org_id, name, is_production) values (:org, :name, true)")
_AT = datetime(2026, 1, 1, tzinfo=UTC)

Secrets = Mapping[str, str]
Beat = Callable[[], None]
Started = Callable[[SupervisorHandle], Awaitable[None]]
Held = Callable[[], bool]


async def at_once() -> None:
    """A stage that takes no time."""


@dataclass
class Hands:
    """Starts stages, remembers which, and says of each what the test wants; `meanwhile` is how long it takes."""

    host: str = "here"
    meanwhile: Callable[[], Awaitable[None]] = at_once
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    async def run(
        self, command: StageCommand, secrets: Secrets, *, heartbeat: Beat, started: Started, held: Held | None = None
    ) -> StageResult:
        heartbeat()
        await started(SupervisorHandle(host=self.host, pid=1, start_time=1))
        self.started.append(command.stage)
        await self.meanwhile()
        return a_result(self.outcomes.get(command.stage, Outcome.PASSED))

    async def probe(
        self, command: StageCommand, secrets: Secrets, *, heartbeat: Beat, started: Started, held: Held | None = None
    ) -> Probed:
        raise AssertionError("no stage of these tests has a probe")

    def name(self) -> str:
        return self.host

    async def wait_until_dead(self, handle: SupervisorHandle, within: timedelta) -> bool:
        return True


def a_result(outcome: Outcome) -> StageResult:
    return StageResult(
        outcome=outcome,
        exit_code=0 if outcome is Outcome.PASSED else 1,
        signal=None,
        timed_out=False,
        started_at=_AT,
        ended_at=_AT,
        wall=timedelta(0),
        cpu=timedelta(0),
        peak_memory=0,
        output_bytes=0,
        output_digest=hashlib.sha256().hexdigest(),
        head="",
        tail="",
        truncated=False,
        outputs="a" * 64 if outcome is Outcome.PASSED else None,
    )


@dataclass(frozen=True)
class Bench:
    """Runs of one pipeline in an environment that no worker serves."""

    world: World
    tenant: Tenant
    caller: Caller
    environment: str

    @classmethod
    async def make(cls, world: World, tenant: Tenant, superuser: AsyncEngine) -> "Bench":
        environment = f"b-{uuid4().hex[:12]}"
        async with superuser.begin() as connection:
            await connection.execute(_ENVIRONMENT, {"org": tenant.org, "name": environment})
        roles = frozenset({Role.AUTHOR, Role.OPERATOR, Role.ADMIN})
        caller = tenant.admin.model_copy(update={"principal": tenant.admin.principal.model_copy(update={"roles": roles})})
        return cls(world, tenant, caller, environment)

    async def pipeline(self, *, notify: Effect, word: str = "first") -> Pipeline:
        """Two stages: `notify`, whose effect the test chooses, uses the config key `word`; `check` comes after it."""
        spec = PipelineSpec.model_validate(
            {
                "pipeline": "letters",
                "environment": self.environment,
                "owner": "data-platform",
                "code": "./src",
                "config": {"word": word},
                "stages": [
                    {"name": "notify", "run": ["python", "-m", "read"], "uses": ["word"], "effect": str(notify)},
                    {"name": "check", "run": ["python", "-m", "check"], "needs": ["notify"]},
                ],
            }
        )
        return await apply(self.world.services, self.caller, spec, CODE)

    async def start(self, pipeline: Pipeline) -> Execution:
        """A run that stands before its first stage."""
        run = await self.world.services.runs.start(self.caller, pipeline.id)
        return await self.until_run(run.id, RunStatus.RUNNING)

    async def failed_at_check(self, run: Execution) -> Execution:
        """`notify` has passed, `check` has not, and the run waits for its healing."""
        stages = self.stages(Hands(outcomes={"check": Outcome.FAILED}))
        for stage in ("notify", "check"):
            await stages.run(self.stage(run, stage), heartbeat=lambda: None)
        await self.world.services.runs.fail(Failure(ref=self.ref(run), stage="check", error_code="failed"))
        return await self.run(run.id)

    async def closed(self, run: Execution, status: Status) -> None:
        """The incident that the run waits for comes to its end."""
        incident = run.incident
        assert incident is not None

        async def is_known() -> bool:
            found = await self.world.services.incidents.get(self.caller, incident)
            return found.status in RESTING | {Status.AWAITING_APPROVAL}

        await until(is_known, why="the story of the incident comes to a rest")
        carrier = (await self.world.services.incidents.get(self.caller, incident)).carrier
        await self.world.services.incidents.close(IncidentRef(org=self.tenant.org, id=incident), status, by=carrier)

    async def resumed(self, run: Execution, stage: str, *, by_a_plan: bool) -> ResumptionId:
        """The run may go on at `stage`."""
        async with self.world.database.transaction(self.tenant.org) as session:
            fresh = await new_id(session)
            resumption = Resumption(
                id=ResumptionId.of(fresh),
                execution=run.id,
                plan=PlanId.of(fresh) if by_a_plan else None,
                incident=IncidentId.of(fresh),
                key=str(fresh),
                from_stage=stage,
                until_stage=stage,
                config_version=run.config_version,
            )
            return await remediations.add_resumption(session, self.tenant.org, resumption)

    async def until_run(self, execution: ExecutionId, status: RunStatus) -> Execution:
        async def so() -> bool:
            return (await self.run(execution)).status is status

        await until(so, why=f"the run becomes {status}")
        return await self.run(execution)

    async def run(self, execution: ExecutionId) -> Execution:
        return (await self.world.services.runs.get(self.caller, execution)).execution

    async def attempts(self, execution: ExecutionId) -> tuple[Attempt, ...]:
        return (await self.world.services.runs.get(self.caller, execution)).attempts

    async def entries(self, action: str) -> list[AuditItem]:
        return await self.world.services.audit.page(self.tenant.org, AuditFilter(action=action), limit=50)

    def stages(self, hands: Hands, *, database: Database | None = None) -> Stages:
        """As a worker on the host of `hands` has them."""
        secrets, guard = self.world.services.secrets, Guard(region="local")
        return Stages(database or self.world.database, Ledger(), guard, secrets, hands, hands, lease=LEASE)

    def ref(self, run: Execution) -> RunRef:
        return RunRef(org=self.tenant.org, pipeline=run.pipeline, execution=run.id)

    def stage(self, run: Execution, stage: str, *, claim: UUID | None = None) -> StageRef:
        return StageRef(org=self.tenant.org, execution=run.id, stage=stage, claim=claim or uuid4())
