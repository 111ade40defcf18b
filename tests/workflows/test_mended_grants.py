"""A grant acts once, for those who may, and never after its story has ended."""

import pytest
from sqlalchemy import text
from temporalio.client import WorkflowFailureError

from domain.approval import ApprovalStatus, Choice, DecisionRequest, GrantStatus, RequestKind
from domain.base import RequestId
from domain.errors import ConflictError, ForbiddenError
from domain.identity import Role, SwitchLevel
from domain.principals import PrincipalPatch
from domain.refs import PlanRef
from storage import approvals, remediations
from storage.engine import new_id
from tests.workflows.suggestions import a_granted_suggestion, a_suggestion
from workflows.remediation import RemediationWorkflow


async def _grant(scene, plan):
    async with scene.world.database.transaction(scene.tenant.org) as session:
        return (await approvals.grant_of(session, plan.plan.id)).status


async def _started_by_hand(scene, plan):
    """As somebody does who reaches the engine's port and nothing else."""
    ref = PlanRef(org=scene.tenant.org, id=plan.plan.id)
    return await scene.world.client.start_workflow(RemediationWorkflow.run, ref, id=ref.workflow_id, task_queue="orchestrator")


async def _refused_code(handle):
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    return failed.value.cause.cause.type


async def test_starting_the_remediation_of_a_suggestion_is_no_word_to_execute(scene):
    """Nothing is executed, the refusal is in the audit log, and an operator's word still counts."""
    plan, _ = await a_granted_suggestion(scene)
    assert await _refused_code(await _started_by_hand(scene, plan)) == ForbiddenError.code
    assert "remediation.refused" in await scene.actions(plan.plan.incident)
    assert ((await scene.current()).version, await _grant(scene, plan)) == (2, GrantStatus.UNUSED)
    assert (await scene.services.approvals.request_execution(scene.operator, plan.plan.id)).settled
    assert await scene.carried(plan) == "verified"


async def test_a_workflow_of_another_name_does_not_act_on_the_plan(scene):
    """Whoever starts a second remediation beside the plan's own one changes nothing."""
    plan, _ = await a_granted_suggestion(scene)
    ref = PlanRef(org=scene.tenant.org, id=plan.plan.id)
    beside = f"{ref.workflow_id}/again"
    handle = await scene.world.client.start_workflow(RemediationWorkflow.run, ref, id=beside, task_queue="orchestrator")
    assert await _refused_code(handle) == ForbiddenError.code
    assert ((await scene.current()).version, await _grant(scene, plan)) == (2, GrantStatus.UNUSED)


async def _stored_order(scene, plan, operator) -> None:
    async with scene.world.database.transaction(scene.tenant.org) as session:
        request = DecisionRequest(
            id=RequestId.of(await new_id(session)),
            kind=RequestKind.EXECUTE,
            plan=plan.plan.id,
            approval=None,
            principal=operator.id,
            token=operator.token,
            choice=None,
            digest=plan.digest,
            reason="",
            auth_method="token",
        )
        await approvals.add_request(session, scene.tenant.org, request)


async def test_the_word_of_somebody_who_no_longer_may_executes_nothing(scene, add_person):
    """The operator has lost the role, or the token is revoked, since the word was stored."""
    plan, _ = await a_granted_suggestion(scene)
    operator, another = [await add_person(scene.tenant, Role.OPERATOR) for _ in range(2)]
    for each in (operator, another):
        await _stored_order(scene, plan, each)
    lost = PrincipalPatch(roles=frozenset({Role.VIEWER}))
    await scene.services.principals.change(scene.tenant.admin, operator.id, lost)
    await scene.services.identity.revoke_token(scene.tenant.admin, another.token)
    assert await _refused_code(await _started_by_hand(scene, plan)) == ForbiddenError.code
    assert (await scene.current()).version == 2


async def test_a_remediation_stopped_before_it_begins_voids_its_grant(scene):
    """Released later, the switch gives the grant no second life."""
    plan, _ = await a_granted_suggestion(scene)
    await scene.services.switches.engage(scene.approver, SwitchLevel.ORG, "*", "something is wrong")
    assert await scene.carried(plan) == "blocked"
    assert await _grant(scene, plan) is GrantStatus.VOID
    await scene.services.switches.release(scene.tenant.admin, SwitchLevel.ORG, "*", "it was nothing")
    with pytest.raises(ConflictError):
        await scene.services.approvals.request_execution(scene.operator, plan.plan.id)


async def test_resolving_an_incident_voids_the_grants_of_its_plans(scene):
    """The plan is over, and its carrier ends without another one."""
    plan, _ = await a_granted_suggestion(scene)
    await scene.services.incidents.resolve(scene.operator, plan.plan.incident)
    assert await scene.carried(plan) == "needs_human"
    assert await _grant(scene, plan) is GrantStatus.VOID
    assert (await scene.plans(plan.plan.incident))[0].plan.id == plan.plan.id
    with pytest.raises(ConflictError):
        await scene.services.approvals.request_execution(scene.operator, plan.plan.id)


async def test_a_plan_whose_incident_has_ended_has_no_effect(scene, superuser):
    """Even where the grant is still there: what begins finds the end, and voids it."""
    plan, _ = await a_granted_suggestion(scene)
    await _stored_order(scene, plan, scene.operator)
    async with superuser.begin() as connection:
        ended = "update incidents set status = 'resolved', ended_at = suture.now() where id = :id"
        await connection.execute(text(ended), {"id": plan.plan.incident})
    assert await (await _started_by_hand(scene, plan)).result() == "stopped"
    assert ((await scene.current()).version, await _grant(scene, plan)) == (2, GrantStatus.VOID)


async def test_a_withdrawn_plan_holds_no_target(scene):
    """Its leases are free for the next one."""
    plan, _ = await a_suggestion(scene)
    ref, target = PlanRef(org=scene.tenant.org, id=plan.plan.id), plan.plan.targets[0].key
    async with scene.world.database.transaction(ref.org) as session:
        hour = (await approvals.of_plan(session, ref.id)).rule.execute_within
        await remediations.take_lease(session, ref.org, target, holder=ref.workflow_id, for_=hour)
    await scene.services.asking.withdraw(ref)
    async with scene.world.database.transaction(ref.org) as session:
        assert await remediations.take_lease(session, ref.org, target, holder="another", for_=hour) == 2


async def test_the_second_word_of_one_person_is_refused(scene, superuser):
    """Where two have to agree, one who approved and then rejects hears that they have decided."""
    _, approval = await a_suggestion(scene)
    async with superuser.begin() as connection:
        two = "update approvals set rule = jsonb_set(rule, '{quorum}', '2') where id = :id"
        await connection.execute(text(two), {"id": approval.id})
    assert (await scene.decide(approval)).settled
    with pytest.raises(ConflictError, match="decided already"):
        await scene.decide(approval, Choice.REJECT)
    assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.OPEN


async def test_a_decided_approval_is_not_closed_again(scene):
    """One plan has one open approval, and what is decided stays decided."""
    plan, approval = await a_suggestion(scene)
    standing = await scene.services.asking.open(PlanRef(org=scene.tenant.org, id=plan.plan.id))
    assert (await scene.decide(approval, Choice.REJECT)).settled
    async with scene.world.database.transaction(scene.tenant.org) as session:
        assert not await approvals.close(session, approval.id, ApprovalStatus.EXPIRED, by=None, notes=None)
    found = await scene.services.approvals.get(scene.author, approval.id)
    assert (standing.approval, found.status) == (approval.id, ApprovalStatus.REJECTED)


async def test_a_preflight_that_is_too_old_grants_nothing(scene, superuser):
    """A decision about it is refused, nothing is granted, and the refused letter does not arrive later."""
    plan, approval = await a_suggestion(scene)
    async with superuser.begin() as connection:
        old = "update preflights set content = jsonb_set(content, '{valid_until}', to_jsonb(text '2020-01-01T00:00:00Z'))"
        await connection.execute(text(f"{old} where plan_id = :id"), {"id": plan.plan.id})
    with pytest.raises(ConflictError, match="preflight"):
        await scene.decide(approval)
    assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.OPEN
    async with superuser.begin() as connection:
        waiting = "select count(*) from outbox where org_id = :org and kind = 'decide' and delivered_at is null"
        assert await connection.scalar(text(waiting), {"org": scene.tenant.org}) == 0
