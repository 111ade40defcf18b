"""The engine hears of real stories in any order, late and more than once, and each comes to the state of an ordered one."""

import asyncio
import random
import shutil
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlmodel import select

from domain.approval import ApprovalStatus, Choice
from domain.base import ExecutionId
from domain.errors import ApprovalClosedError, HealError
from domain.execution import RunStatus
from domain.identity import Caller, Role
from domain.incident import Status
from domain.pipeline import PipelineSpec
from services.ledger import Ledger
from services.relay import Relay
from storage.outbox import OutboxRow, _to_post
from tests.database import Tenant
from tests.engine import World
from tests.faults.report import FULL
from tests.pipelines import apply
from workflows.client import TemporalEngine

SEED = 20_261_121
ORDERS = 16  # as many at once as two cores tell without a stage that its worker loses for want of time
ROUNDS = 63 if FULL else 1
PATIENCE_S = 300
NOW, AGAIN = 0.6, 0.05
STAGE = """
    import json, os, pathlib, sys
    config = json.loads(pathlib.Path(os.environ["SUTURE_CONFIG"]).read_text())
    mark = pathlib.Path(config["folder"], os.environ["SUTURE_STEP_KEY"].replace("/", "-"))
    if not os.environ.get("SUTURE_DRY_RUN") and not mark.exists():
        mark.touch()
        sys.exit("upstream says 503 service unavailable")
"""
HOLDING = (
    "create table suture.held (org uuid primary key)",
    """create function suture.hold_letter() returns trigger language plpgsql security definer as $$
    begin
      if exists (select from suture.held where org = new.org_id) then
        new.due_at := new.due_at + interval '1 year';
      end if;
      return new;
    end $$""",
    "create trigger hold_letter before insert on outbox for each row execute function suture.hold_letter()",
)
LETTING_GO = ("drop trigger hold_letter on outbox", "drop function suture.hold_letter", "drop table suture.held")


@dataclass
class Post:
    """An org whose letters the relay leaves alone: this delivers them, each now or later, once or more."""

    world: World
    tenant: Tenant
    author: Caller
    approver: Caller
    folder: Path
    dice: random.Random
    decided: set[object] = field(default_factory=set)
    known: set[UUID] = field(default_factory=set)
    sent: int = 0

    async def pipeline(self, name: str):
        spec = PipelineSpec.model_validate(
            {
                "pipeline": name,
                "environment": "prod",
                "owner": "data-platform",
                "code": "./src",
                "config": {"folder": str(self.folder)},
                "stages": [
                    {"name": "read", "run": ["python", "-m", "read"], "uses": ["folder"], "timeout": "20s", "dry_run": True}
                ],
            }
        )
        return await apply(self.world.services, self.author, spec, {"read.py": STAGE})

    async def told(self, name: str) -> ExecutionId:
        return (await self.world.services.runs.start(self.author, (await self.pipeline(name)).id)).id

    async def deliver(self) -> None:
        """Letters in another order than they were written in: a new one now or later, an old one now and then once more."""
        async with self.world.database.transaction(self.tenant.org) as session:
            letters = [_to_post(row) for row in await session.scalars(select(OutboxRow))]
        chosen = [each for each in letters if self.dice.random() < (AGAIN if each.id in self.known else NOW)]
        self.dice.shuffle(chosen)
        self.known |= {each.id for each in chosen}
        relay = Relay(None, self.world.database, TemporalEngine(self.world.client), Ledger())  # type: ignore[arg-type]
        await asyncio.gather(*(self._handed(relay, each) for each in chosen))
        self.sent += len(chosen)

    async def decide(self) -> None:
        """Store a second person's yes to whatever is asked; only a letter tells the engine of it."""
        approvals = self.world.services.approvals
        for each in await approvals.page(self.author, status=ApprovalStatus.OPEN, after=None, limit=200):
            if each.id not in self.decided:
                self.decided.add(each.id)
                with suppress(ApprovalClosedError):
                    await approvals._ask(self.approver, each.id, Choice.APPROVE, "seen", None, None)

    async def _handed(self, relay: Relay, letter) -> None:
        with suppress(HealError):
            await relay._hand_over(letter)

    async def state(self, run: ExecutionId) -> tuple[object, ...]:
        """All that a story leaves, apart from ids and times."""
        services = self.world.services
        view = await services.runs.get(self.author, run)
        assert view.execution.incident is not None
        incident = await services.incidents.get(self.author, view.execution.incident)
        plans = await services.planning.of_incident(self.author, incident.id)
        entries = [each.action for each in await services.incidents.timeline(self.author, incident.id)]
        return (
            view.execution.status,
            tuple((each.kind, each.status) for each in view.attempts),
            incident.status,
            incident.event_count,
            tuple((each.plan.action, each.status) for each in plans),
            tuple(sorted(entries)),
        )

    async def is_over(self, run: ExecutionId) -> bool:
        execution = (await self.world.services.runs.get(self.author, run)).execution
        if execution.status is not RunStatus.SUCCEEDED or execution.incident is None:
            return execution.status.is_final and execution.status is not RunStatus.SUCCEEDED
        return (await self.world.services.incidents.get(self.author, execution.incident)).status is Status.VERIFIED


@pytest_asyncio.fixture(scope="module")
async def holding(superuser):
    async with superuser.begin() as connection:
        for statement in HOLDING:
            await connection.exec_driver_sql(statement)
    yield
    async with superuser.begin() as connection:
        for statement in LETTING_GO:
            await connection.exec_driver_sql(statement)


@pytest_asyncio.fixture
async def post(world, tenant, add_person, holding):
    folder = Path(tempfile.mkdtemp(prefix="suture-letters-"))
    folder.chmod(0o777)  # stages run as other users
    author, approver = await add_person(tenant, Role.AUTHOR, Role.OPERATOR), await add_person(tenant, Role.APPROVER)
    yield Post(world, tenant, author, approver, folder, random.Random(SEED))
    shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _held(superuser, post: Post):
    async with superuser.begin() as connection:
        await connection.execute(text("insert into suture.held values (:org)"), {"org": post.tenant.org})
    yield
    async with superuser.begin() as connection:
        await connection.execute(text("delete from suture.held"))


async def _until_over(post: Post, runs: list[ExecutionId], between) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not all([await post.is_over(each) for each in runs]):
            await post.decide()
            await between()
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_f24_letters_in_any_order_end_every_story_alike(post, superuser, fault, number):
    """Starts, wakes, events and decisions of healing stories, shuffled, late, repeated, come to what one in order does."""
    post.dice = random.Random(SEED + number)
    ordered = await post.told("ordered")
    await _until_over(post, [ordered], lambda: asyncio.sleep(0))
    expected = await post.state(ordered)
    async with _held(superuser, post):
        runs = [await post.told(f"order-{each}") for each in range(ORDERS)]
        await _until_over(post, runs, post.deliver)
        for _ in range(2):
            await post.deliver()
    await asyncio.sleep(0.5)
    states = [await post.state(each) for each in runs]
    broken = [f"I4: order {each} of round {number} left {state}" for each, state in enumerate(states) if state != expected]
    chain = await post.world.services.audit.verify(post.tenant.org)
    broken += [f"I5: {chain.fault.message}"] if chain.fault else []
    fault.note(runs=len(runs), violations=broken, letters_sent=post.sent, seed=SEED)
