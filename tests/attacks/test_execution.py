"""Attacks on a grant: what was approved has changed, is used up, is too old, or its approvers no longer may."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from temporalio.client import WorkflowFailureError

from adapters.signing import Ed25519Signer
from api.app import create
from domain.approval import GrantStatus
from domain.errors import GrantUsedError
from domain.identity import Role
from domain.incident import Status
from domain.outcome import RemediationOutcome, StepOutcome, StepRef
from domain.plan import Direction, PlanStatus
from domain.policy import Reason
from domain.principals import PrincipalPatch
from services.approvals import Approvals
from services.decisions import Decisions
from services.guard import Guard
from services.ledger import Ledger
from services.pipeline_runner import PipelineRunner
from services.remediation import Remediation
from tests.attacks.case import problem
from tests.faults.desk import weighing
from workflows.client import TemporalEngine
from workflows.remediation import RemediationWorkflow

LEASE = timedelta(seconds=2)


class Revised:
    """The real policy, as it is after a new bundle."""

    def __init__(self, policy):
        self._policy = policy

    def __getattr__(self, name):
        return getattr(self._policy, name)

    async def revision(self):
        return "another"

    async def autonomy(self, facts):
        return (await self._policy.autonomy(facts)).model_copy(update={"revision": "another"})


class Closed(Revised):
    """The real policy, once a window has begun in which nothing is changed."""

    async def revision(self):
        return await self._policy.revision()

    async def autonomy(self, facts):
        return await self._policy.autonomy(facts)

    async def preflight(self, facts):
        return (*await self._policy.preflight(facts), Reason(code="PF014", msg="no changes on Friday"))


class NewerRunner(PipelineRunner):
    """The real runner, as it is after an upgrade."""

    version = "another"


@pytest.fixture
def remediation(case, tmp_path):
    """What a worker executes plans with, made of the parts that the test wants."""
    database, ledger, policy = case.database, Ledger(), case.scene.services.policy
    guard = Guard(region="local")

    def made(*, policy=policy, runner=PipelineRunner):
        runners = {"pipeline": runner(database, guard, None, lease=LEASE)}
        signer, weighs = Ed25519Signer(tmp_path / "signing.key"), weighing(database, policy)
        return Remediation(database, ledger, guard, Decisions(database), weighs, runners, signer, lease=LEASE)

    return made


async def executed(case, operator=None):
    operator = operator or await case.person(case.scene.operator)
    return await operator.post("/fix/execute", case.named | {"runner": "agent"})


async def is_void(case, before):
    """No effect, and a grant that will never have one."""
    assert await case.effects() == before
    assert (await case.granted()).status is GrantStatus.VOID
    assert await case.status() is PlanStatus.SUPERSEDED


async def test_a21_a_plan_cannot_be_edited(case, superuser, remediation):
    """The application may not change a plan; where the server's owner does, the digest tells, and nothing executes."""
    await case.grant()
    before = await case.effects()
    change = "update fix_plans set content = jsonb_set(content, '{steps,0,do,argv,2}', '\"2\"') where id = :id"
    with pytest.raises(DBAPIError, match="permission denied"):
        async with case.database.transaction(case.ref.org) as session:
            await session.execute(text(change), {"id": case.ref.id})
    async with superuser.begin() as connection:
        await connection.execute(text(change), {"id": case.ref.id})
    assert problem(await executed(case)) == (409, "stale_plan")
    await is_void(case, before)
    assert (await remediation().begin(case.ref)).outcome is RemediationOutcome.STALE
    with pytest.raises(GrantUsedError):
        await remediation().step(StepRef(plan=case.ref, step=0, direction=Direction.DO))
    assert await case.effects() == before


async def test_a21_an_edited_target_makes_the_plan_stale(case):
    """The config changes after the approval: 409, the grant is void, and a new plan asks again."""
    await case.grant()
    author = await case.person(case.scene.author)
    edited = await author.patch(f"/pipelines/{case.scene.pipeline.id.shown}", {"config": case_config(case, "by_hand")})
    assert edited.status_code == 200
    before, operator = await case.effects(), await case.person(case.scene.operator)
    assert problem(await executed(case, operator)) == (409, "stale_plan")
    await is_void(case, before)
    assert (await case.next_approval()).digest != case.approval.digest
    async with case.refused("execution.refused"):
        assert problem(await executed(case, operator)) == (409, "stale_plan")


def case_config(case, column):
    return {"column": column, "folder": str(case.scene.folder)}


async def test_a21_another_policy_or_runner_makes_the_plan_stale(case, remediation):
    """The API finds another policy; so does the worker, which asks again; a newer runner is no longer the one approved."""
    policy = Revised(case.scene.services.policy)
    by_api = partial(_refused_under, policy=policy)
    by_worker = partial(_begun_stale, remediation(policy=policy))
    by_newer_worker = partial(_begun_stale, remediation(runner=NewerRunner))
    for attempt in (by_api, by_worker, by_newer_worker):
        await case.grant()
        before = await case.effects()
        await attempt(case)
        await is_void(case, before)
        case = await renewed(case)


async def test_a21_policy_that_has_become_stricter_voids_the_grant(case, remediation):
    """It is asked again just before the plan executes, and what it said is a decision record."""
    await case.grant()
    before = await case.effects()
    begun = await remediation(policy=Closed(case.scene.services.policy)).begin(case.ref)
    assert (begun.outcome, "no changes on Friday" in begun.reason) == (RemediationOutcome.STALE, True)
    await is_void(case, before)
    (latest, *_) = await case.scene.services.decisions.page(case.scene.tenant.org, incident=case.plan.plan.incident, limit=1)
    assert (latest.decision, latest.reason_codes[0]) == ("block", "PF014")
    await TemporalEngine(case.scene.world.client).wake(case.plan.carrier)


async def _refused_under(case, *, policy):
    world = case.scene.world
    approvals = Approvals(case.database, Ledger(), policy, TemporalEngine(world.client))
    app = create(replace(world.services, approvals=approvals), world.settings, registry=CollectorRegistry())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api") as client:
        assert problem(await executed(replace(case, client=client))) == (409, "stale_plan")


async def _begun_stale(remediation, case):
    assert (await remediation.begin(case.ref)).outcome is RemediationOutcome.STALE
    await TemporalEngine(case.scene.world.client).wake(case.plan.carrier)


async def renewed(case):
    """The plan that takes the place of the stale one."""
    approval = await case.next_approval()
    (plan, *_) = await case.scene.plans(case.plan.plan.incident)
    return replace(case, plan=plan, approval=approval)


async def test_a22_a_used_grant_is_used(case, remediation):
    """After the plan has healed the run nobody executes it again: not by HTTP, not in its own workflow, not in another."""
    await case.grant()
    assert (await executed(case)).status_code == 200
    await case.until_incident(Status.VERIFIED)
    await case.scene.handle(case.plan.carrier).result()
    operator = await case.person(case.scene.operator)
    async with case.refused("execution.refused"):
        assert problem(await executed(case, operator)) == (409, "conflict")
    client = case.scene.world.client
    for name in (case.ref.workflow_id, f"{case.ref.workflow_id}/again"):
        async with case.refused("remediation.refused"):
            started = await client.start_workflow(RemediationWorkflow.run, case.ref, id=name, task_queue="orchestrator")
            with pytest.raises(WorkflowFailureError) as failed:
                await started.result()
        assert failed.value.cause.cause.type == GrantUsedError.code
    async with case.unchanged():
        step = StepRef(plan=case.ref, step=0, direction=Direction.DO)
        assert await remediation().step(step) is StepOutcome.DONE


async def test_a23_nobody_executes_after_the_time_to_execute(case, remediation):
    """By the database's clock alone: the API refuses, and so does a worker that was told to begin."""
    grant = await case.grant()
    await case.until_asleep(after="look_at_grant")
    await case.scene.world.shift(case.ref.org, case.approval.rule.execute_within + timedelta(seconds=1))
    operator = await case.person(case.scene.operator)
    async with case.refused("execution.refused"):
        assert problem(await executed(case, operator)) == (409, "conflict")
    before = await case.effects()
    assert (await remediation().begin(case.ref)).outcome is RemediationOutcome.EXPIRED
    assert ((await case.granted()).status, await case.effects()) == (GrantStatus.EXPIRED, before)
    assert (await case.granted()).id == grant.id


async def test_a24_an_approver_who_no_longer_may_blocks_the_execution(case, add_person):
    """A lost role, a principal switched off or a revoked token between decision and execution voids the grant."""
    for lose in (_lose_the_role, _be_switched_off, _lose_the_token):
        approver = await add_person(case.scene.tenant, Role.APPROVER)
        assert (await case.scene.decide(case.approval, by=approver)).settled
        before = await case.effects()
        await lose(case.scene, approver)
        assert (await executed(case)).status_code == 200
        await case.until_plan(PlanStatus.SUPERSEDED)
        await is_void(case, before)
        assert await case.entries("plan.stale") >= 1
        case = await renewed(case)


async def _lose_the_role(scene, approver):
    await scene.services.principals.change(scene.tenant.admin, approver.id, PrincipalPatch(roles=frozenset({Role.VIEWER})))


async def _be_switched_off(scene, approver):
    await scene.services.principals.change(scene.tenant.admin, approver.id, PrincipalPatch(is_active=False))


async def _lose_the_token(scene, approver):
    await scene.services.identity.revoke_token(scene.tenant.admin, approver.token)
