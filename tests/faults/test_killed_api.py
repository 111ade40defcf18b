"""An API that is killed between its commit and its answer: the client asks again, and there is still one row."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from sqlalchemy import text

from stack import ports
from tests.engine import ROOT, until
from tests.faults.report import counted
from tests.faults.servers import HoldingProxy
from tests.faults.workers import Workers

HEAD = "select seq from audit_heads where org_id = :org for update"
OPERATES = text("update principals set roles = array_append(roles, 'operator') where org_id = :org and id = :id")
ROWS = {
    "events": text("select count(*) from signals where org_id = :org"),
    "runs": text("select count(*) from executions where org_id = :org"),
}


@asynccontextmanager
async def serving(workers: Workers, folder: Path, port: int, database: str):
    """A real API process; whoever kills it may, and it is gone at the end."""
    environment = workers.environment() | {
        "SUTURE_API_PORT": str(port),
        "SUTURE_API_HOST": "127.0.0.1",
        "SUTURE_DATABASE_URL": database,
    }
    log = folder / f"api-{time.time_ns()}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api.app", cwd=ROOT, env=environment, stdin=DEVNULL, stdout=output, stderr=output
        )

    async def serves() -> bool:
        assert process.returncode is None, f"the API ended: {log.read_text(errors='replace')[-2000:]}"
        return await _answers(port)

    try:
        await until(serves, within=40, why="the API serves")
        yield process
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@pytest.mark.parametrize("what", ["events", "runs"])
async def test_f03_an_api_killed_before_its_answer_is_asked_again(scene, workers, postgres, fault, tmp_path_factory, what):
    """The commit stands, the answer does not; the same request with the same key gets the answer, and there is one row."""
    port, tenant, folder, broken = ports.choose(0)[0], scene.tenant, tmp_path_factory.mktemp("api"), []
    path, body = await _request(scene, what)
    rounds = counted(10)
    async with HoldingProxy(postgres, folder).open() as proxy:
        database = proxy.urls("suture_tests").app
        for number in range(rounds):
            key = f"f03-{uuid4().hex}"
            async with serving(workers, folder, port, database) as doomed:
                async with scene.locked(HEAD, org=tenant.org) as is_waited_for:
                    asking = asyncio.create_task(_post(port, path, tenant.token, key, body))
                    await until(is_waited_for, why="the request is about to commit")
                    proxy.passes.clear()
                await until(partial(_are_stored, scene, what, number + 1), why="the change is committed")
                os.kill(doomed.pid, signal.SIGKILL)
                await doomed.wait()
                proxy.passes.set()
                lost = await asking
                broken += [] if lost is None else [f"the killed API has answered {lost}"]
            async with serving(workers, folder, port, database):
                again = [await _post(port, path, tenant.token, key, body) for _ in range(2)]
            first = again[0]
            broken += [] if first == again[1] and first is not None and first[0] < 300 else [f"answered {again}"]
            broken += [] if await _are_stored(scene, what, number + 1) else ["I1: another row"]
    fault.note(runs=rounds, violations=[*broken, *await _broken(scene, what)], answered=first[0])


async def _request(scene, what: str) -> tuple[str, dict[str, object]]:
    """An event is known by its own key; the start of a run only by its Idempotency-Key."""
    if what == "runs":
        async with scene.superuser.begin() as connection:
            await connection.execute(OPERATES, {"org": scene.tenant.org, "id": scene.tenant.admin.id})
        return f"/pipelines/{(await scene.pipeline('killed')).id.shown}/runs", {}
    return "/events", {"event_type": "fault", "payload": {}, "occurred_at": "2026-01-01T00:00:00Z"}


async def _are_stored(scene, what: str, count: int) -> bool:
    async with scene.superuser.connect() as connection:
        return (await connection.execute(ROWS[what], {"org": scene.tenant.org})).scalar_one() == count


async def _broken(scene, what: str) -> list[str]:
    """The runs wait for as long as their environment has no worker; that they do is no violation."""
    found = await scene.broken()
    return [each for each in found if not (what == "runs" and each.startswith("I4"))]


async def _post(port: int, path: str, token: str, key: str, body: dict[str, object]) -> tuple[int, str] | None:
    """Status and body, or None when the connection ends without an answer."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client,
            client.post(f"http://127.0.0.1:{port}/api/v1{path}", json=body, headers=headers) as answer,
        ):
            return answer.status, await answer.text()
    except aiohttp.ClientError:
        return None
