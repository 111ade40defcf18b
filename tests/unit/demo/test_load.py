"""A load takes effect once for each step key, whenever it is killed, and its probe knows."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from demo.holds import Holds, Point

EFFECTS = "select step_key, step_version from effects"
ROWS = "select count(*)::int, count(distinct step_key)::int from ad_cost"


@pytest.fixture
def loading(ad_cost: Any) -> Any:
    """A run of ad-cost that has come to its load."""
    ad_cost.start_until("load")
    return ad_cost


def secrets_of(target: Any) -> dict[str, str]:
    return {"target_dsn": target.dsn}


def holding(bench: Any, folder: Path, point: Point) -> Holds:
    """Make `load` stop at `point`."""
    holds = Holds(folder)
    bench.spec = holds.applied(bench.spec, stages=["load"])
    holds.arm(point)
    return holds


async def reached(process: subprocess.Popen[str], holds: Holds, point: Point) -> None:
    async with asyncio.timeout(20):
        while not holds.is_reached(point):
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.01)


async def test_a_load_leaves_rows_and_one_effect(loading: Any, target_database: Any):
    """All rows and the effect stand under the step key, and the report can be drawn."""
    assert loading.start("load", secrets=secrets_of(target_database)) == (0, "")
    assert await target_database.fetch(ROWS) == [(1538, 1)]
    assert [key for key, _ in await target_database.fetch(EFFECTS)] == [loading.step_key("load")]
    assert loading.start("report") == (0, "")


async def test_a_second_start_does_nothing_and_another_version_replaces(loading: Any, target_database: Any):
    """The same key and version is one effect; the same key with another version is one effect, too."""
    secrets = secrets_of(target_database)
    for _ in range(2):
        assert loading.start("load", secrets=secrets) == (0, "")
    first = await target_database.fetch(EFFECTS)
    loading.configure(load_column="cost_per_mille")
    assert loading.start("load", secrets=secrets) == (0, "")
    second = await target_database.fetch(EFFECTS)
    assert (len(first), len(second)) == (1, 1)
    assert first != second
    assert await target_database.fetch(ROWS) == [(1538, 1)]


async def test_the_probe_tells_done_from_not_done(loading: Any, target_database: Any):
    """Not done before, done after, not done for another version; done writes the outputs again."""
    secrets = secrets_of(target_database)
    before = loading.start("load", secrets=secrets, probe=True)
    loading.start("load", secrets=secrets)
    (loading.outputs("load") / "loaded.json").unlink()
    after = loading.start("load", secrets=secrets, probe=True)
    assert (before, after) == ((3, ""), (0, ""))
    assert (loading.outputs("load") / "loaded.json").exists()
    loading.configure(load_column="cost_per_mille")
    assert loading.start("load", secrets=secrets, probe=True) == (3, "")


async def test_a_probe_that_cannot_see_does_not_guess(loading: Any, target_database: Any):
    """A target that refuses the login is neither done nor not done."""
    wrong = {"target_dsn": target_database.dsn_readonly.replace("reader:reader", "reader:wrong")}
    code, said = loading.start("load", secrets=wrong, probe=True)
    assert code not in {0, 3}
    assert said == "load: the target database does not let us in: InvalidPasswordError\n"


async def test_a_dry_run_writes_nothing(loading: Any, target_database: Any):
    """It logs in with the role that only reads, and leaves no row and no effect."""
    secrets = {"target_dsn_readonly": target_database.dsn_readonly}
    assert loading.start("load", secrets=secrets, dry_run=True) == (0, "")
    assert loading.start("load", secrets=secrets, probe=True, dry_run=True) == (3, "")
    assert await target_database.fetch(EFFECTS) == []
    assert await target_database.fetch(ROWS) == [(0, 0)]


@pytest.mark.parametrize(
    ("point", "answer"), [(Point.BEFORE_TRANSACTION, 3), (Point.INSIDE_TRANSACTION, 3), (Point.AFTER_COMMIT, 0)]
)
async def test_a_killed_load_takes_effect_once(loading: Any, target_database: Any, tmp_path: Path, point: Point, answer: int):
    """Killed at any point, the probe knows what happened, and a start where it says so makes exactly one effect."""
    secrets, holds = secrets_of(target_database), holding(loading, tmp_path / "hold", point)
    process = loading.popen("load", secrets=secrets)
    await reached(process, holds, point)
    process.kill()
    process.communicate(timeout=10)
    holds.release(point)
    assert loading.start("load", secrets=secrets, probe=True) == (answer, "")
    if answer == 3:
        assert loading.start("load", secrets=secrets) == (0, "")
    assert [key for key, _ in await target_database.fetch(EFFECTS)] == [loading.step_key("load")]
    assert await target_database.fetch(ROWS) == [(1538, 1)]


async def test_a_probe_waits_for_a_commit_in_flight(loading: Any, target_database: Any, tmp_path: Path):
    """Asked while the transaction is open, it answers after the commit: done."""
    secrets, point = secrets_of(target_database), Point.INSIDE_TRANSACTION
    holds = holding(loading, tmp_path / "hold", point)
    process = loading.popen("load", secrets=secrets)
    await reached(process, holds, point)
    probe = loading.popen("load", secrets=secrets, probe=True)
    await waits_for_lock(target_database.dsn)
    assert probe.poll() is None
    holds.release(point)
    assert (probe.wait(20), process.wait(20)) == (0, 0)
    probe.communicate()
    process.communicate()


async def test_two_loads_of_one_step_take_effect_once(loading: Any, target_database: Any):
    """Started side by side, one writes and the other finds it done."""
    pair = [loading.popen("load", secrets=secrets_of(target_database)) for _ in range(2)]
    assert [(process.communicate(timeout=30)[0], process.returncode) for process in pair] == [("", 0), ("", 0)]
    assert len(await target_database.fetch(EFFECTS)) == 1
    assert await target_database.fetch(ROWS) == [(1538, 1)]


async def test_a_keyed_stage_of_another_pipeline_takes_effect_once(cpu_load: Any, hours_database: Any):
    """The same key and version does nothing, and another version replaces the effect."""
    secrets = {"hours_dsn": hours_database.dsn}
    cpu_load.start_until("store")
    for column in ("mean", "mean", "peak"):
        cpu_load.configure(stored_column=column)
        assert cpu_load.start("store", secrets=secrets) == (0, "")
    assert await hours_database.fetch("select count(*)::int from effects") == [(1,)]
    stored = await hours_database.fetch("select count(*)::int, count(distinct hour)::int from cpu_hours")
    assert stored == [(cpu_load.rows("smooth"), cpu_load.rows("smooth"))]


async def waits_for_lock(dsn: str) -> None:
    """Return once somebody stands before an advisory lock."""
    watcher = await asyncpg.connect(dsn)
    async with asyncio.timeout(20):
        while not await watcher.fetchval("select exists (select from pg_locks where locktype = 'advisory' and not granted)"):
            await asyncio.sleep(0.02)
    await watcher.close()
