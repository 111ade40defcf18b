"""Plans that a person asks for, which wait for an operator's word after they are granted."""

from domain.approval import Approval, ApprovalStatus
from domain.execution import Execution
from domain.incident import Status
from domain.plan import Mode, PlanState, PlanStatus
from tests.engine import until
from tests.workflows.scene import Scene


async def an_incident_at_rest(scene: Scene) -> Execution:
    """A run whose incident waits for a person, since its story was cut off."""
    run = await scene.break_and_run()
    await scene.approval()
    await (await scene.story_of(run.incident)).cancel()
    await scene.until_incident(run.incident, Status.NEEDS_HUMAN)
    return run


async def a_suggestion(scene: Scene) -> tuple[PlanState, Approval]:
    """A plan that an operator asked for, and the approval it waits for."""
    run = await an_incident_at_rest(scene)
    plan = await scene.services.planning.propose(scene.operator, run.incident, Mode.SUGGEST, None)
    return plan, await scene.approval()


async def a_granted_suggestion(scene: Scene) -> tuple[PlanState, Approval]:
    """A suggestion that a second person has approved; nothing executes yet."""
    plan, approval = await a_suggestion(scene)
    await scene.decide(approval)

    async def granted() -> bool:
        return (await scene.plans(plan.plan.incident))[0].status is PlanStatus.GRANTED

    await until(granted, why="the plan is granted")
    assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.APPROVED
    return plan, approval
