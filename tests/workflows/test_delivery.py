"""What is delivered twice, late, in any order or without an answer has one effect."""

import asyncio
import random
from contextlib import asynccontextmanager, suppress

import pytest
from sqlmodel import select

from domain.errors import HealError
from domain.execution import RunStatus
from domain.incident import Status
from domain.plan import PlanStatus
from services.ledger import Ledger
from services.relay import Relay
from storage.outbox import OutboxRow, _to_post
from workflows.client import TemporalEngine

SHAPE = [
    "incident.opened", "incident.diagnosed", "plan.made", "plan.rehearsed", "plan.preflighted", "approval.opened",
    "plan.decide_requested", "approval.approve", "grant.given", "remediation.started", "remediation.prepared",
    "step.do_intended", "step.do_done", "step.do_intended", "step.do_done", "remediation.judged_pass",
    "remediation.verified", "incident.verified",
]  # fmt: skip
"""The entries of one healed incident, but for those of its run, which come in between."""


async def _letters(scene):
    async with scene.world.database.transaction(scene.tenant.org) as session:
        return [_to_post(row) for row in await session.scalars(select(OutboxRow))]


@asynccontextmanager
async def _redelivering(scene, seed):
    """Within the block every letter ever written is delivered again and again, in any order."""
    order, relay = random.Random(seed), Relay(None, scene.world.database, TemporalEngine(scene.world.client), Ledger())

    async def once() -> None:
        letters = await _letters(scene)
        order.shuffle(letters)
        for letter in letters:
            with suppress(HealError):
                await relay._hand_over(letter)

    async def forever() -> None:
        while True:
            await once()
            await asyncio.sleep(0.1)

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await once()
    await once()


async def _healed(scene):
    run = await scene.break_and_run()
    await scene.decide(await scene.approval())
    await scene.until_run(run.id, RunStatus.SUCCEEDED)
    await scene.until_incident(run.incident, Status.VERIFIED)
    return run


async def _has_one_of_everything(scene, run) -> None:
    told = [each for each in await scene.actions(run.incident) if not each.startswith(("run.", "stage."))]
    assert told == SHAPE
    assert [each.status for each in await scene.plans(run.incident)] == [PlanStatus.VERIFIED]
    assert (await scene.current()).version == 1
    assert await scene.chain_is_sound()


@pytest.mark.parametrize("seed", [1, 2])
async def test_letters_delivered_twice_and_in_any_order(scene, seed):
    """The story is the same, told once."""
    async with _redelivering(scene, seed):
        run = await _healed(scene)
    await asyncio.sleep(0.3)
    await _has_one_of_everything(scene, run)


async def test_letters_of_an_ended_story_start_nothing(scene):
    """Every letter of a story that came to rest, delivered again, leaves it at rest."""
    run = await scene.break_and_run()
    approval = await scene.approval()
    scene.hold("check")
    await scene.decide(approval)
    await scene.until_held("check")
    scene.release("check", failing=True)
    await scene.until_incident(run.incident, Status.ROLLED_BACK)
    before = await scene.actions(run.incident)
    async with _redelivering(scene, 3):
        await asyncio.sleep(0.5)
    await (await scene.story_of(run.incident)).result()
    assert await scene.actions(run.incident) == before
    assert (await scene.incident(run.incident)).status is Status.ROLLED_BACK


async def test_every_acknowledgement_is_lost_once(scene):
    """Each activity of the story does its work, is believed to have failed, and does it again to no further effect."""
    losses = scene.world.losses
    losses.of.add(scene.tenant.org)
    try:
        run = await _healed(scene)
    finally:
        losses.of.discard(scene.tenant.org)
    assert {"run_stage", "plan_fix", "settle_request", "begin_remediation", "run_step", "close_incident"} <= set(losses.lost)
    told = [each for each in await scene.actions(run.incident) if each.startswith(("step.", "grant.", "remediation.", "plan."))]
    assert (told.count("step.do_done"), told.count("grant.given"), told.count("remediation.started")) == (2, 1, 1)
    assert (await scene.current()).version == 1


async def test_a_story_without_a_memory(scene):
    """With workers that keep no workflow in memory, every task replays the story from its start, and it ends the same."""
    async with scene.world.telling.forgetting():
        run = await _healed(scene)
    await _has_one_of_everything(scene, run)
