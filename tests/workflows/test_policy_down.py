"""The policy server goes away in the middle of a story, for ten seconds or for longer than anybody waits."""

import asyncio
from contextlib import asynccontextmanager

from domain.approval import ApprovalStatus
from domain.execution import RunStatus
from domain.incident import Status
from tests.engine import until


@asynccontextmanager
async def _policy_down(stack):
    await stack.supervisor.end("opa")
    try:
        yield
    finally:
        await stack.run_child(stack._policy.spec(), stack._policy.is_ready)


async def test_nothing_is_decided_while_policy_is_down(scene):
    """A decision stays undecided, without an error for its story, and counts when policy answers again."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    async with _policy_down(scene.world.stack):
        submitted = await scene.decide(approval)
        assert not submitted.settled
        await asyncio.sleep(5)
        assert (await scene.services.approvals.get(scene.author, approval.id)).status is ApprovalStatus.OPEN
        assert "grant.given" not in await scene.actions(run.incident)
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    await scene.until_incident(run.incident, Status.VERIFIED)


async def test_an_incident_asks_policy_no_longer_than_a_run_waits(set_scene):
    """When the last run has given up, no answer is of use any more: a person looks, and the incident is over."""
    scene = await set_scene(heal_within="20s")
    async with _policy_down(scene.world.stack):
        run = await scene.break_and_run()
        await scene.until_run(run.id, RunStatus.FAILED, within=40)

        async def looked_at():
            return (await scene.incident(run.incident)).status is Status.NEEDS_HUMAN

        await until(looked_at, why="nobody asks policy any more", within=90)
    assert (await scene.incident(run.incident)).ended_at is not None
