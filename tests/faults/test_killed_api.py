"""An API that is killed between its commit and its answer: the client asks again, and there is still one row."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
from sqlalchemy import text

from stack import ports
from tests.engine import ROOT, until
from tests.faults.report import counted
from tests.faults.workers import Workers

HEAD = "select seq from audit_heads where org_id = :org for update"
KEY = "select key from idempotency_keys where org_id = :org and key = :key for update"
ROWS = text("select count(*) from signals where org_id = :org and idempotency_key = :key")
ANSWERED_WITHIN = timedelta(seconds=61)


@asynccontextmanager
async def serving(workers: Workers, folder: Path, port: int):
    """A real API process; whoever kills it may, and it is gone at the end."""
    environment = workers.environment() | {"SUTURE_API_PORT": str(port), "SUTURE_API_HOST": "127.0.0.1"}
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


async def test_f03_an_api_killed_before_its_answer_is_asked_again(scene, workers, shift, fault, tmp_path):
    """The commit stands, the answer does not; the same request with the same key finds the one row."""
    port, tenant, broken, bodies = ports.choose(0)[0], scene.tenant, [], []
    rounds = counted(20)
    for _ in range(rounds):
        key = f"f03-{uuid4().hex}"
        async with serving(workers, tmp_path, port) as doomed:
            async with scene.locked(HEAD, org=tenant.org) as is_waited_for:
                asking = asyncio.create_task(_post(port, tenant.token, key))
                await until(is_waited_for, why="the request is about to commit")
                holding = scene.locked(KEY, org=tenant.org, key=key)
                is_answering = await holding.__aenter__()
            await until(is_answering, why="the change is committed and the answer is being kept")
            os.kill(doomed.pid, signal.SIGKILL)
            await doomed.wait()
            await holding.__aexit__(None, None, None)
            lost = await asking
            broken += [] if lost is None else [f"the killed API has answered {lost}"]
        async with serving(workers, tmp_path, port):
            await shift(tenant.org, ANSWERED_WITHIN)
            first, again = [await _post(port, tenant.token, key) for _ in range(2)]
        bodies.append(first)
        broken += [] if first == again and first is not None and first[0] < 300 else [f"answered {first}, then {again}"]
        async with scene.superuser.connect() as connection:
            rows = (await connection.execute(ROWS, {"org": tenant.org, "key": key})).scalar_one()
        broken += [] if rows == 1 else [f"I1: {rows} rows"]
    fault.note(runs=rounds, violations=[*broken, *await scene.broken()], answered=bodies[-1][0])


async def _post(port: int, token: str, key: str) -> tuple[int, str] | None:
    """Status and body, or None when the connection ends without an answer."""
    body = {"event_type": "fault", "payload": {}, "idempotency_key": key, "occurred_at": "2026-01-01T00:00:00Z"}
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client,
            client.post(f"http://127.0.0.1:{port}/api/v1/events", json=body, headers=headers) as answer,
        ):
            return answer.status, await answer.text()
    except aiohttp.ClientError:
        return None
