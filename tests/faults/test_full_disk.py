"""A database without room on its disk: what it cannot keep is not acknowledged, and it goes on once there is room again."""

import asyncio
import time

import pytest
import pytest_asyncio
from sqlalchemy import text

from domain.errors import UnavailableError
from tests.faults import checker
from tests.faults.report import bar, counted
from tests.faults.servers import own_server, small_disk
from tests.faults.test_database import Writers, _own_org, opened

MEGABYTES = 256
ROUNDS = counted(30)
REFUSED_FOR_S = 2.0
RECOVERED_WITHIN_S = bar(10.0)
STORED = text("select count(*) from signals where org_id = :org")
TAKEN = text("select coalesce(sum((after_json ->> 'count')::int), 0) from audit_details where org_id = :org")


@pytest.fixture(scope="module")
def disk():
    try:
        with small_disk(megabytes=MEGABYTES) as mounted:
            yield mounted
    except PermissionError as error:
        pytest.skip(f"F15 IS NOT TESTED: {error}")


@pytest_asyncio.fixture(scope="module")
async def server(kms, disk):
    async with own_server(kms, on=disk.folder) as started:
        yield started


async def test_f15_a_full_disk_refuses_and_loses_nothing(server, disk, tenant, fault):
    """Under load: what comes while there is no room is told to come again; nothing that was acknowledged is lost."""
    assert UnavailableError.status == 503
    caller, recoveries, broken, acked_while_full = await _own_org(server, tenant), [], [], 0
    async with opened(server.urls.app) as database:
        writers = Writers(database, caller)
        async with writers.at_work():
            for _ in range(ROUNDS):
                await writers.wrote(100)
                disk.fill()
                await _until_refused(writers, since=time.monotonic())
                before = len(writers.acked)
                await asyncio.sleep(REFUSED_FOR_S)
                acked_while_full += len(writers.acked) - before
                disk.free()
                freed = time.monotonic()
                await writers.wrote(50)
                recoveries.append(writers.acked[-50][0] - freed)
    async with opened(server.urls.admin) as admin:
        broken += await checker.lost_signals(admin._engine, caller.org, [each for _, each in writers.acked])
        async with admin._engine.connect() as connection:
            stored = await connection.scalar(STORED, {"org": caller.org})
            taken = await connection.scalar(TAKEN, {"org": caller.org})
    broken += writers.surprises
    broken += [f"{stored} signals stored, {taken} entered in the audit log"] if stored != taken else []
    broken += [f"recovered after {each:.2f} s" for each in recoveries if each > RECOVERED_WITHIN_S]
    fault.note(
        runs=len(recoveries),
        violations=broken,
        acked=len(writers.acked),
        acked_while_full=acked_while_full,
        refused_503=len(writers.refused),
        recovered_after_s=max(recoveries),
    )


async def _until_refused(writers: Writers, *, since: float) -> None:
    async with asyncio.timeout(60):
        while not (writers.refused and writers.refused[-1] > since):
            await asyncio.sleep(0.01)
