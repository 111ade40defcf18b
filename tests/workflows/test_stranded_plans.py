"""A plan that its carrier cannot carry to an end stands in nobody's way."""

from domain.approval import GrantStatus
from domain.incident import Status
from domain.plan import PlanStatus
from domain.refs import PlanRef
from storage import approvals
from workflows.remediation import RemediationWorkflow


async def test_a_remediation_of_the_same_name_leaves_no_incident_without_a_carrier(scene):
    """Somebody has started it on a queue that nobody serves: the plan is withdrawn, its grant void, a person looks."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    ref = PlanRef(org=scene.tenant.org, id=approval.plan)
    squatter = await scene.world.client.start_workflow(RemediationWorkflow.run, ref, id=ref.workflow_id, task_queue="nobody")
    try:
        await scene.decide(approval)
        await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    finally:
        await squatter.terminate()
    assert await (await scene.story_of(run.incident)).result() == Status.NEEDS_HUMAN
    assert (await scene.plans(run.incident))[0].status is PlanStatus.NEEDS_HUMAN
    async with scene.world.database.transaction(scene.tenant.org) as session:
        assert (await approvals.grant_of(session, ref.id)).status is GrantStatus.VOID
    assert (await scene.current()).version == 2
