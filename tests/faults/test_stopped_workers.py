"""Workers that stand still or are told to end: what they held goes on elsewhere, and what they say too late does not count."""

import asyncio
import signal
import time
from uuid import uuid4

import pytest

from domain.errors import LeaseLostError
from domain.execution import Attempt, AttemptStatus
from domain.outcome import StepOutcome, StepRef
from domain.plan import Direction
from storage import executions as store
from storage import remediations
from tests.engine import LEASE, until
from tests.faults.desk import a_target
from tests.faults.report import FULL, bar, counted
from tests.faults.scene import Scene
from tests.faults.target import Asked, Gate, Point

DRAINED_WITHIN = bar(10.0)


async def test_f04_a_worker_that_stood_still_cannot_write_its_result(scene, workers, fault):
    """Stopped for longer than its lease, then continued: another one has adopted the effect, and its own receipt is refused."""
    labels = [f"still-{number}" for number in range(counted(30))]
    scene.target.knob = gate = Gate(dict.fromkeys(labels, Point.AFTER))
    zombie = await workers.start(scene.queue)
    runs = [(await scene.start(await scene.pipeline(label))).id for label in labels]
    await asyncio.gather(*(gate.reached(label) for label in labels))
    await workers.start(scene.queue)
    zombie.send(signal.SIGSTOP)
    for label in labels:
        gate.open(label)
    await scene.ended(*runs)
    before = {run: await scene.attempts(run) for run in runs}
    said = len(zombie.said())
    zombie.send(signal.SIGCONT)

    async def told():
        return len(zombie.said()) > said

    await until(told, why="the zombie finds out that it has lost its stages")
    accepted = 0
    for run in runs:
        lost = before[run][0]
        assert lost.status is AttemptStatus.LOST
        accepted += await _accepts(scene, lost)
        accepted += (await scene.attempts(run)) != before[run]
    broken = await scene.broken() + ([f"{accepted} stale writes were accepted"] if accepted else [])
    fault.note(runs=len(runs), violations=broken, stale_writes_accepted=accepted, effects=len(scene.target.ledger))


async def _accepts(scene: Scene, lost: Attempt) -> bool:
    """Whether the database takes the receipt of an attempt that was given to somebody else."""
    async with scene.world.services.runs._database.transaction(lost.org) as session:
        try:
            await store.end_attempt(session, lost, AttemptStatus.PASSED, None)
        except LeaseLostError:
            return False
    return True


async def test_f04_a_step_under_an_older_fence_is_refused(desk, fault):
    """A worker hangs in a step; the next attempt gets a newer fence and acts; the first one's effect is refused."""
    zombies, broken = counted(100), []
    for _ in range(zombies):
        gate, reached = asyncio.Event(), asyncio.Event()
        hung: list[str] = []

        async def first_hangs(key, gate=gate, reached=reached, hung=hung):
            if not hung:
                hung.append(key)
                reached.set()
                await gate.wait()

        desk.runner.knob = first_hangs
        target = a_target()
        ref = await desk.granted(target, target)
        remediation = desk.remediation()
        await remediation.begin(ref)
        await remediation.prepare(ref)
        zombie = asyncio.create_task(remediation.step(StepRef(plan=ref, step=0, direction=Direction.DO)))
        await reached.wait()
        await desk.remediation().step(StepRef(plan=ref, step=1, direction=Direction.DO))
        gate.set()
        said = await zombie
        broken += [] if said is StepOutcome.STALE else [f"a step under an older fence came to {said}"]
    fault.note(runs=zombies, violations=broken, refused_by_fence=len(desk.runner.refused))


async def test_f04_a_lease_has_one_newest_token(desk, fault):
    """Renewing under an older token is refused by the database itself."""
    org, target, holder = desk.tenant.org, f"service/{uuid4().hex}", "fix/a"
    async with desk.database.transaction(org) as session:
        old = await remediations.take_lease(session, org, target, holder=holder, for_=LEASE)
    async with desk.database.transaction(org) as session:
        new = await remediations.take_lease(session, org, target, holder=holder, for_=LEASE)
    assert new > old
    with pytest.raises(LeaseLostError):
        async with desk.database.transaction(org) as session:
            await remediations.check_lease(session, target, holder=holder, fence=old, for_=LEASE)
    fault.note(runs=1, violations=[])


async def test_f05_a_worker_that_is_told_to_end_drains_and_hands_back(scene, workers, fault):
    """Half of its stages end in time and are kept; the other half goes to the next worker; nothing is lost or doubled."""
    activities = 50 if FULL else 10
    gate = asyncio.Event()
    seen: set[str] = set()

    async def held(asked: Asked, point: Point) -> None:
        if point is Point.BEFORE and asked.key not in seen:
            seen.add(asked.key)
            await (gate.wait() if asked.label == "short" else asyncio.Event().wait())

    scene.target.knob = held
    ending = await workers.start(scene.queue)
    pipelines = [await scene.pipeline(label) for label in ("short", "long")]
    runs = [(await scene.start(pipelines[number % 2])).id for number in range(activities)]

    async def all_running():
        return len(seen) == activities

    await until(all_running, within=60, why=f"{activities} stages run on one worker")
    await workers.start(scene.queue)
    told_at = time.monotonic()
    ending.send(signal.SIGTERM)
    gate.set()
    await asyncio.wait_for(ending.process.wait(), 40)
    drained = time.monotonic() - told_at
    await scene.ended(*runs, within=60)
    attempts = [await scene.attempts(run) for run in runs]
    kept = sum(len(each) == 1 for each in attempts)
    effects = {run: sum(each.key.startswith(f"{run}/") for each in scene.target.ledger) for run in runs}
    broken = await scene.broken()
    broken += [f"drained for {drained:.1f} s"] if drained > DRAINED_WITHIN else []
    broken += [f"{count} effects of {run}" for run, count in effects.items() if count != 1]
    fault.note(
        runs=activities,
        violations=broken,
        drained_s=drained,
        kept=kept,
        handed_back=activities - kept,
        lost=sum(count == 0 for count in effects.values()),
        duplicated=sum(count > 1 for count in effects.values()),
    )
