"""The policy server goes away for ten seconds in the middle of a story."""

import asyncio

from domain.approval import ApprovalStatus
from domain.execution import RunStatus
from domain.incident import Status


async def test_nothing_is_decided_while_policy_is_down(scene):
    """A decision stays undecided, without an error for its story, and counts when policy answers again."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    stack = scene.world.stack
    await stack.supervisor.end("opa")
    try:
        submitted = await scene.decide(approval)
        assert not submitted.settled
        await asyncio.sleep(5)
        assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.OPEN
        assert "grant.given" not in await scene.actions(run.incident)
    finally:
        await stack.run_child(stack._policy.spec(), stack._policy.is_ready)
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    await scene.until_incident(run.incident, Status.VERIFIED)
