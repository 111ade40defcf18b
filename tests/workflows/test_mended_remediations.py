"""A remediation that is told twice, too late, or to stop: it acts once, hears the end, and leaves nothing behind."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import text

from adapters.opa import OpaPolicy
from adapters.signing import Ed25519Signer
from domain.base import ResumptionId
from domain.errors import StoppedError, UnavailableError
from domain.identity import SwitchLevel
from domain.incident import Severity, Status
from domain.outcome import RemediationOutcome, StepOutcome, StepRef, VerdictOutcome
from domain.plan import Direction, PlanStatus
from domain.refs import IncidentRef, PlanRef
from domain.resumption import Resumption, ResumptionOutcome
from services.decisions import Decisions
from services.guard import Guard
from services.ledger import Ledger
from services.pipeline_runner import PipelineRunner
from services.remediation import Remediation
from services.switches import Switches
from storage import remediations, switches
from storage.engine import new_id
from tests.engine import LEASE, until
from tests.faults.desk import Desk, a_target, weighing
from tests.faults.runner import LedgerRunner
from tests.workflows.suggestions import a_granted_suggestion, a_suggestion


class Forgetful(Ed25519Signer):
    """The real signer, which cannot be reached the first time: an effect's receipt is lost."""

    tries = 0

    def sign(self, message):
        self.tries += 1
        if self.tries == 1:
            raise UnavailableError("the signer does not answer")
        return super().sign(message)


@pytest_asyncio.fixture
async def desk(database, superuser, endpoints, tenant, tmp_path):
    async with OpaPolicy(endpoints.opa_url) as policy:
        signer = Forgetful(tmp_path / "signing.key")
        yield await Desk.make(database, superuser, policy, signer, tenant, runner=LedgerRunner(), ledger=Ledger())


@pytest.fixture
def made(scene, tmp_path):
    """The real runner and the service that uses it, as a worker has them."""
    database, guard = scene.world.database, Guard(region="local")
    runner, signer = PipelineRunner(database, guard, None, lease=LEASE), Ed25519Signer(tmp_path / "signing.key")
    runners, weighs = {"pipeline": runner}, weighing(database, scene.services.policy)
    return Remediation(database, Ledger(), guard, Decisions(database), weighs, runners, signer, lease=LEASE), runner


def _do(ref, index=0):
    return StepRef(plan=ref, step=index, direction=Direction.DO)


async def test_an_effect_that_happened_is_adopted_although_a_switch_is_engaged(desk):
    """The record of what was done is not an effect; the next step is one, and does not begin."""
    ref, remediation = await desk.granted(a_target(), a_target()), desk.remediation()
    await remediation.begin(ref)
    await remediation.prepare(ref)
    with pytest.raises(UnavailableError):
        await remediation.step(_do(ref))
    await Switches(desk.database, desk.ledger).engage(desk.tenant.admin, SwitchLevel.ORG, "*", "a fault")
    said = [await remediation.step(_do(ref, index)) for index in (0, 1)]
    assert (said, len(desk.runner.ledger)) == ([StepOutcome.DONE, StepOutcome.STOPPED], 1)


async def test_what_was_judged_stays_judged(desk):
    """A look whose answer was lost finds the verdict, also where it would see something else now."""
    ref, remediation = await desk.granted(), desk.remediation()
    await remediation.begin(ref)
    first = await remediation.verify(ref, judge_by=None)
    again = await remediation.verify(ref, judge_by=datetime.now(UTC) + timedelta(hours=1))
    assert first.outcome is VerdictOutcome.INCONCLUSIVE
    assert again == first


async def test_a_failed_undo_throws_the_switch_of_its_pipeline(desk):
    """Nothing acts on it until a person has looked; the audit log says why."""
    ref, remediation = await desk.granted(), desk.remediation()
    await remediation.begin(ref)
    await remediation.finish(ref, RemediationOutcome.UNDO_FAILED)
    async with desk.database.transaction(ref.org) as session:
        assert (await switches.get(session, SwitchLevel.WORKFLOW, "orders")).is_active
        assert await session.scalar(text("select count(*) from outbox where kind = 'stopped'")) == 1
        assert await session.scalar(text("select count(*) from audit_logs where action = 'undo.failed'")) == 1
    other = await desk.granted()
    assert (await remediation.begin(other)).outcome is RemediationOutcome.STOPPED


async def test_a_switch_that_is_engaged_just_before_an_effect_stops_it(scene, made):
    """The runner itself reads it, in the transaction of the effect."""
    plan, _ = await a_suggestion(scene)
    step, holder = plan.plan.steps[0], f"fix/{plan.plan.org}/{plan.plan.id}"
    async with scene.world.database.transaction(plan.plan.org) as session:
        fence = await remediations.take_lease(session, plan.plan.org, step.target.key, holder=holder, for_=LEASE)
    await scene.services.switches.engage(scene.approver, SwitchLevel.WORKFLOW, "orders", "something is wrong")
    with pytest.raises(StoppedError):
        await made[1].run(plan.plan, step.target, step.do, key="k", holder=holder, fence=fence)
    assert (await scene.current()).version == 2


async def test_evidence_may_come_as_long_as_the_run_may_wait(scene, made):
    """By the database's clock, not a number of our own."""
    plan, _ = await a_granted_suggestion(scene)
    ref = PlanRef(org=scene.tenant.org, id=plan.plan.id)
    async with scene.world.database.transaction(ref.org) as session:
        statement = "insert into decision_requests select org_id, uuidv7(), 'execute', plan_id, null, :by, :token, null, digest"
        statement += ", '', 'token', now() from grants where plan_id = :plan"
        values = {"by": scene.operator.id, "token": scene.operator.token, "plan": ref.id}
        await session.execute(text(statement), values)
    begun = await made[0].begin(ref)
    assert timedelta(hours=23) < begun.verify_within <= timedelta(hours=24)


async def test_a_fix_that_is_given_up_resumes_nobody_later(scene, made):
    """The right to go on that no run has used yet ends with the fix."""
    plan, _ = await a_suggestion(scene)
    ref = PlanRef(org=scene.tenant.org, id=plan.plan.id)
    run = (await scene.incident(plan.plan.incident)).waiting_runs[0]
    async with scene.world.database.transaction(ref.org) as session:
        resumption = Resumption(
            id=ResumptionId.of(await new_id(session)),
            execution=run,
            plan=ref.id,
            incident=plan.plan.incident,
            key=plan.plan.key(plan.plan.steps[-1], Direction.DO),
            from_stage="check",
            until_stage="check",
            config_version=1,
        )
        await remediations.add_resumption(session, ref.org, resumption)
    await made[0].finish(ref, RemediationOutcome.STOPPED)
    async with scene.world.database.transaction(ref.org) as session:
        found = await remediations.resumption(session, resumption.id)
    assert found.outcome is ResumptionOutcome.FAILED


async def test_an_incident_opened_by_hand_waits_for_a_person(scene):
    """No run ever waited for it, so its rest is no end."""
    incident = await scene.services.incidents.open(
        scene.operator, title="odd numbers", service="orders", environment="prod", severity=Severity.SEV3
    )
    rested = await scene.services.incidents.close(
        IncidentRef(org=scene.tenant.org, id=incident.id), Status.NEEDS_HUMAN, by=incident.carrier
    )
    assert (rested.status, rested.ended_at) == (Status.NEEDS_HUMAN, None)
    assert (await scene.services.incidents.resolve(scene.operator, incident.id)).ended_at is not None


@asynccontextmanager
async def _slow_intents(superuser, org):
    """Every step takes a while, and cannot be interrupted meanwhile."""
    slow = "create function suture.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(2); return new; end $$"
    when = f"create trigger slow before insert on commands for each row when (new.org_id = '{org}' and new.kind = 'do')"
    async with superuser.begin() as connection:
        await connection.execute(text(slow))
        await connection.execute(text(f"{when} execute function suture.slow()"))
    try:
        yield
    finally:
        async with superuser.begin() as connection:
            await connection.execute(text("drop function suture.slow() cascade"))


async def test_a_cancellation_that_comes_during_a_step_is_heard_after_it(scene, superuser):
    """The step ends normally, the next one does not begin, and the targets are as before."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    async with _slow_intents(superuser, scene.tenant.org):
        await scene.decide(approval)
        remediation = scene.remediation_of((await scene.plans(run.incident))[0])

        async def stepping() -> bool:
            if "remediation.prepared" not in await scene.actions(run.incident):
                return False
            pending = (await remediation.describe()).raw_description.pending_activities
            return any(each.activity_type.name == "run_step" for each in pending)

        await until(stepping, why="the first step is under way")
        await remediation.cancel()
        await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    assert (await scene.plans(run.incident))[0].status is PlanStatus.ROLLED_BACK
    assert (await scene.current()).version == 2
    actions = await scene.actions(run.incident)
    assert (actions.count("step.do_intended"), actions.count("step.undo_done")) == (1, 1)
