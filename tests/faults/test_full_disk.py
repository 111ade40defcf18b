"""A database without room on its disk: what it cannot keep is not acknowledged, and it goes on once there is room again."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import text

from domain.errors import UnavailableError
from tests.engine import until
from tests.faults import checker
from tests.faults.report import bar, counted
from tests.faults.servers import own_server, small_disk
from tests.faults.test_database import Writers, _own_org, opened
from tests.peers import prometheus
from tests.processes import serving_api

MEGABYTES = 256
ROUNDS = counted(30)
REFUSED_FOR_S = 2.0
RECOVERED_WITHIN_S = bar(10.0)
ALERTS = Path(__file__).parents[2] / "deploy/alerts.yml"
LINES = [{"kind": "log", "text": f"request {number} served"} for number in range(100)]
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


async def test_f15_senders_are_told_to_come_again_and_somebody_is_woken(server, disk, world, tmp_path, fault):
    """Over HTTP it is a 503 with the seconds to wait; a real Prometheus with the rules we ship fires."""
    urls = server.urls
    own = {"database_url": urls.app, "database_relay_url": urls.relay}
    chosen = world.settings.model_copy(update={name: SecretStr(url) for name, url in own.items()})
    broken: list[str] = []
    async with (
        serving_api(chosen, tmp_path) as (_, port),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        prometheus(tmp_path, watching_over(port)) as address,
        httpx2.AsyncClient(base_url=address, trust_env=False) as watching,
    ):

        async def sent() -> httpx2.Response:
            word = {"Authorization": f"Bearer {server.token.get_secret_value()}"}
            return await client.post("/api/v1/signals/ingest", json=LINES, headers=word)

        async def is_taken() -> bool:
            return (await sent()).status_code == 200

        async def is_refused() -> bool:
            return (await sent()).status_code == 503

        async def is_told() -> bool:
            await sent()
            return bool(await fires(watching))

        await until(is_taken, why="there is room")
        disk.fill()
        await until(is_refused, why="there is no room")
        answer = await sent()
        broken += [] if "retry-after" in answer.headers else ["a 503 that does not say when to come again"]
        await until(is_told, why="Prometheus fires")
        disk.free()
        await until(is_taken, why="there is room again")
    fault.note(runs=1, violations=broken)


def watching_over(port: int) -> dict[str, Any]:
    """Look each second at the page of the API there, with the rules that we ship."""
    scrape = {"job_name": "suture", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {"global": every, "rule_files": [str(ALERTS)], "scrape_configs": [scrape]}


async def fires(watching: httpx2.AsyncClient) -> list[Any]:
    found: list[Any] = (await watching.get("/api/v1/alerts")).json()["data"]["alerts"]
    return [each for each in found if each["labels"]["alertname"] == "SutureTurnsRequestsAway" and each["state"] == "firing"]
