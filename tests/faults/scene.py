"""A pipeline of an org's own environment, whose stages reach the fake target, and what its runs came to."""

from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base import ExecutionId
from domain.execution import Attempt, Execution
from domain.identity import Caller, Role
from domain.pipeline import PipelineSpec
from domain.versions import Pipeline
from services.runs import ExecutionView
from tests.database import Tenant
from tests.engine import World, until
from tests.faults import checker
from tests.faults.target import STAGE, StageTarget
from tests.pipelines import apply

_ENVIRONMENT = text("insert into environments (org_id, name, is_production) values (:org, :name, true)")
_BLOCKED = text("select count(*) from pg_stat_activity where :pid = any (pg_blocking_pids(pid))")


@dataclass
class Scene:
    world: World
    tenant: Tenant
    superuser: AsyncEngine
    target: StageTarget
    caller: Caller
    environment: str
    runs: list[ExecutionId] = field(default_factory=list)

    @classmethod
    async def make(cls, world: World, tenant: Tenant, superuser: AsyncEngine, target: StageTarget) -> "Scene":
        environment = f"f-{uuid4().hex[:12]}"
        async with superuser.begin() as connection:
            await connection.execute(_ENVIRONMENT, {"org": tenant.org, "name": environment})
        roles = frozenset({Role.AUTHOR, Role.OPERATOR, Role.ADMIN})
        caller = tenant.admin.model_copy(update={"principal": tenant.admin.principal.model_copy(update={"roles": roles})})
        return cls(world, tenant, superuser, target, caller, environment)

    @property
    def queue(self) -> str:
        return f"execute-{self.environment}"

    async def pipeline(self, name: str, *, effect: str = "probe", stages: Sequence[str] = ("load",)) -> Pipeline:
        """A pipeline whose stages each have one effect on the target, one after the other."""
        spec = PipelineSpec.model_validate(
            {
                "pipeline": name,
                "environment": self.environment,
                "owner": "data-platform",
                "code": "./src",
                "heal_within": "10m",
                "config": {"host": "127.0.0.1", "port": self.target.port, "label": name, "keyed": effect == "keyed"},
                "stages": [_stage(stage, stages[at - 1 : at], effect) for at, stage in enumerate(stages)],
            }
        )
        return await apply(self.world.services, self.caller, spec, {"load.py": STAGE})

    async def start(self, pipeline: Pipeline) -> Execution:
        execution = await self.world.services.runs.start(self.caller, pipeline.id)
        self.runs.append(execution.id)
        return execution

    async def attempts(self, execution: ExecutionId) -> tuple[Attempt, ...]:
        return (await self.world.services.runs.get(self.caller, execution)).attempts

    async def ended(self, *executions: ExecutionId, within: float = 60) -> None:
        left = list(executions)

        async def all_final() -> bool:
            seen = [(await self.world.services.runs.get(self.caller, each)).execution for each in left]
            left[:] = [each.id for each in seen if not each.status.is_final]
            return not left

        try:
            await until(all_final, within=within, why=f"{len(executions)} runs end")
        except AssertionError as error:
            views = [await self.world.services.runs.get(self.caller, each) for each in left]
            raise AssertionError(f"{error}; {[_told(each) for each in views]}") from error

    async def broken(self) -> list[str]:
        """Every invariant that a run of these pipelines could break."""
        found = await checker.unexplained(self.superuser, self.tenant.org, self.target.ledger)
        found += await checker.stuck(self.superuser, self.tenant.org)
        verified = await self.world.services.audit.verify(self.tenant.org)
        return found + ([f"I5: {verified.fault.message}"] if verified.fault else [])

    @asynccontextmanager
    async def locked(self, statement: str, **values: object):
        """Rows held by somebody else's transaction; yields how many wait for them."""
        async with self.superuser.begin() as connection:
            pid = (await connection.execute(text("select pg_backend_pid()"))).scalar_one()
            found = (await connection.execute(text(statement), values)).all()
            assert found, "there is a row to lock"

            async def waiting() -> bool:
                async with self.superuser.connect() as other:
                    return bool((await other.execute(_BLOCKED, {"pid": pid})).scalar_one())

            yield waiting


def _told(view: ExecutionView) -> str:
    """Where a run stands, for whoever looks into a failure."""
    run = view.execution
    tries = ", ".join(f"{each.kind} {each.status}" for each in view.attempts)
    return f"{run.id} is {run.status} ({run.error_code}: {run.error_message}): {tries}"


def _stage(name: str, needs: Sequence[str], effect: str) -> dict[str, object]:
    return {
        "name": name,
        "run": ["python", "-m", "load"],
        "needs": list(needs),
        "uses": ["host", "port", "label", "keyed"],
        "timeout": "60s",
        "effect": effect,
        **({"probe": ["python", "-m", "load", "--probe"]} if effect == "probe" else {}),
    }
