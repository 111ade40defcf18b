"""A plan that its carrier cannot carry to an end stands in nobody's way."""

from domain.actions import CATALOG
from domain.approval import Choice, GrantStatus
from domain.execution import RunStatus
from domain.incident import Status
from domain.plan import PlanStatus
from domain.recovery import RecoveryOutcome
from domain.refs import PlanRef
from services.decisions import Decisions
from services.guard import Guard
from services.ledger import Ledger
from services.pipeline_runner import VERSION
from services.planning import Planning
from services.recovery import Recovery
from storage import approvals
from tests.engine import until
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


class Revised:
    """The real policy, as it was before the bundle of now."""

    def __init__(self, policy):
        self._policy = policy

    def __getattr__(self, name):
        return getattr(self._policy, name)

    async def revision(self):
        return "an older one"


async def test_a_replay_that_is_stale_leaves_no_open_plan(scene):
    """Policy has changed since it was asked for: the replay is refused, and its plan does not block the next one."""
    (scene.folder / "flaky-check").touch()
    await scene.configure("time")
    run = await scene.start()
    await scene.decide(await scene.approval(), Choice.REJECT)
    await scene.until_run(run.id, RunStatus.FAILED)
    services, database = scene.services, scene.world.database
    older = Planning(database, Ledger(), Decisions(database), Revised(services.policy), CATALOG, runner=VERSION)
    recovery = Recovery(database, Ledger(), Guard(region="local"), older)
    event = await recovery.replay(scene.operator, run.id, "again")

    async def over():
        events = await services.recovery.events(scene.author, after=None, limit=10)
        return any(each.id == event.id and each.outcome for each in events)

    await until(over, why="the recovery ends")
    assert (await services.planning.view(scene.author, event.plan)).state.status is PlanStatus.NEEDS_HUMAN
    assert (await services.recovery.events(scene.author, after=None, limit=1))[0].outcome is RecoveryOutcome.REFUSED
