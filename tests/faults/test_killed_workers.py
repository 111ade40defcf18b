"""Workers that are killed around an effect: another one finds out what happened, and it happens once."""

import asyncio
import random
import time
from collections.abc import Sequence

from sqlalchemy import text

from domain.base import ExecutionId
from domain.execution import AttemptStatus
from tests.engine import LEASE, until
from tests.faults.report import bar, counted, p95
from tests.faults.scene import Scene
from tests.faults.target import Asked, Gate, Point

SEED = 20_261_121
RESUMED_WITHIN = bar(LEASE.total_seconds() + 1)
AT_ONCE = 8
SWITCH = text("insert into kill_switches (org_id, level, subject) values (:org, 'action', :name)")
HOLD_SWITCH = "select id from kill_switches where org_id = :org and subject = :name for update"
HOLD_RUN = "select id from executions where org_id = :org and id = :execution for update"
HOLD_ATTEMPT = "select number from stage_attempts where org_id = :org and execution_id = :execution for update"


async def test_f01_a_worker_killed_before_the_effect_is_followed_by_one_that_has_it_once(scene, workers, fault, superuser):
    """After the intent, before the effect's transaction and inside it: the effect is there once, from another worker."""
    scene.target.knob = gate = Gate({"before": Point.BEFORE, "inside": Point.INSIDE})
    doomed = await workers.start(scene.queue)
    async with superuser.begin() as connection:
        await connection.execute(SWITCH, {"org": scene.tenant.org, "name": "run_stage"})
    pipelines = [await scene.pipeline(name) for name in ("before", "inside", "intent")]
    runs = [(await scene.start(each)).id for each in pipelines[:2]]
    await asyncio.gather(gate.reached("before"), gate.reached("inside"))
    async with scene.locked(HOLD_SWITCH, org=scene.tenant.org, name="run_stage") as is_waited_for:
        runs.append((await scene.start(pipelines[2])).id)
        await until(is_waited_for, why="the intent is stored and the switch is read")
        await workers.start(scene.queue)
        assert scene.target.ledger == []
        killed_at = await _killed(doomed)
    for label in ("before", "inside"):
        gate.open(label)
    await scene.ended(*runs)
    resumed = await _resumed(scene, runs, killed_at)
    assert len(resumed) == len(runs)
    fault.note(
        runs=len(runs),
        violations=await _broken(scene, runs, resumed),
        effects=len(scene.target.ledger),
        resume_max_s=max(resumed),
    )


async def test_f02_a_worker_killed_after_the_effect_is_followed_by_one_that_adopts_it(scene, workers, fault):
    """After the commit and before the receipt: the probe finds the effect, and no second one is made."""
    scene.target.knob = gate = Gate({"committed": Point.AFTER, "receipt": Point.AFTER})
    doomed = await workers.start(scene.queue)
    runs = [(await scene.start(await scene.pipeline(name))).id for name in ("committed", "receipt")]
    await asyncio.gather(gate.reached("committed"), gate.reached("receipt"))
    async with scene.locked(HOLD_ATTEMPT, org=scene.tenant.org, execution=runs[1]) as is_waited_for:
        gate.open("receipt")
        await until(is_waited_for, why="the receipt is being written")
        await workers.start(scene.queue)
        killed_at = await _killed(doomed)
    gate.open("committed")
    await scene.ended(*runs)
    resumed = await _resumed(scene, runs, killed_at)
    assert len(resumed) == len(runs)
    fault.note(runs=len(runs), violations=await _broken(scene, runs, resumed), adopted=await _adopted(scene, runs))


async def test_f02_the_second_worker_killed_before_its_probe_is_followed_by_a_third_that_asks(scene, workers, fault):
    """The attempt is known to be lost and nobody has asked the target yet: it is asked, not started again."""
    scene.target.knob = gate = Gate({"twice": Point.AFTER})
    first = await workers.start(scene.queue)
    run = (await scene.start(await scene.pipeline("twice"))).id
    await gate.reached("twice")
    second = await workers.start(scene.queue)
    async with scene.locked(HOLD_RUN, org=scene.tenant.org, execution=run) as is_waited_for:
        await _killed(first)
        await until(is_waited_for, why="the second worker is about to probe")
        await _killed(second)
        await workers.start(scene.queue)
    gate.open("twice")
    await scene.ended(run)
    fault.note(runs=1, violations=await _broken(scene, [run], []), third_worker_adopted=await _adopted(scene, [run]))


async def test_f02_random_kill_points_leave_one_effect_each(scene, workers, fault):
    """Wherever the worker dies, the target's ledger has exactly one line per run."""
    wanted, points, resumed, broken = counted(200), 0, [], []
    dice = random.Random(SEED)
    scene.target.knob = _Slow(dice)
    pipeline = await scene.pipeline("random")
    survivor = await workers.start(scene.queue)
    while points < wanted:
        doomed = survivor
        survivor = await workers.start(scene.queue)  # before the runs: on a slow machine it takes longer than they do
        runs = [(await scene.start(pipeline)).id for _ in range(AT_ONCE)]
        await asyncio.sleep(dice.uniform(0, 0.6))
        killed_at = await _killed(doomed)
        await scene.ended(*runs, within=90)
        found = await _resumed(scene, runs, killed_at)
        points, resumed = points + len(found), resumed + found
        broken += await _not_once(scene, runs)
    broken += await _broken(scene, scene.runs, [])
    late = [f"resumed after p95 {p95(resumed):.2f} s"] if p95(resumed) > RESUMED_WITHIN else []
    fault.note(
        runs=points,
        violations=[*broken, *late],
        seed=SEED,
        effects=len(scene.target.ledger),
        runs_started=len(scene.runs),
        resume_p50_s=p50(resumed),
        resume_p95_s=p95(resumed),
    )


class _Slow:
    """The first effect of every run takes its time before, inside and after its transaction."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._seen: set[tuple[str, Point]] = set()

    async def __call__(self, asked: Asked, point: Point) -> None:
        if (asked.key, point) not in self._seen:
            self._seen.add((asked.key, point))
            await asyncio.sleep(self._dice.uniform(0.3, 1.6))


async def _killed(worker) -> float:
    at = time.time()
    await worker.kill()
    return at


async def _resumed(scene: Scene, runs: Sequence[ExecutionId], killed_at: float) -> list[float]:
    """How long after the kill each attempt that was lost was taken over."""
    found = []
    for run in runs:
        attempts = await scene.attempts(run)
        lost = [each for each in attempts if each.status is AttemptStatus.LOST]
        if lost:
            found.append(min(each.ended_at.timestamp() for each in lost if each.ended_at) - killed_at)
    return found


async def _adopted(scene: Scene, runs: Sequence[ExecutionId]) -> int:
    """Runs whose result a probe has found."""
    attempts = [await scene.attempts(run) for run in runs]
    return sum(each[-1].kind == "probe" and each[-1].status is AttemptStatus.PASSED for each in attempts)


async def _not_once(scene: Scene, runs: Sequence[ExecutionId]) -> list[str]:
    counts = {run: sum(each.key.startswith(f"{run}/") for each in scene.target.ledger) for run in runs}
    return [f"I3: the run {run} has {count} effects" for run, count in counts.items() if count != 1]


async def _broken(scene: Scene, runs: Sequence[ExecutionId], resumed: Sequence[float]) -> list[str]:
    found = await _not_once(scene, runs) + await scene.broken()
    return found + [f"taken over after {each:.2f} s" for each in resumed if each > RESUMED_WITHIN]


def p50(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
