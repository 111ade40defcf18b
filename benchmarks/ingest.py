"""Log lines over HTTP for a minute: stored, redacted, templated; how fast answers come, and how soon the odd is an incident.

Run as `python -m benchmarks.ingest`; `--per-minute 0` sends as fast as lines are taken. It starts what `suture up` starts, with
everything durable; the sender is a process of its own on the same machine. The logs hold failures of their own, which come
faster than they happened: their incidents are shown, and count neither for nor against anything.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from benchmarks.files import SHARED
from benchmarks.sender import Order, Sent
from benchmarks.stack import READY, ROOT, drain, held, until_said
from commands.session import Connection, connection_file
from stack import ports
from stack.postgres import PostgresAddress
from tests.database import served, urls_of

_START_WITHIN, _CAUGHT_UP_WITHIN = 120, 120
_SIGNALS = "select count(*) from signals where source = 'bench'"
_ADDED_UP = "select coalesce(sum(count), 0)::bigint from signal_rollups_1m"
_INCIDENTS = "select service, title, extract(epoch from first_seen_at)::float8 as at from incidents"
_SLOWEST = 8
_TEMPLATES = "select count(*) from log_templates"


@asynccontextmanager
async def product(data: Path, address: PostgresAddress) -> AsyncIterator[None]:
    """All that `suture up` starts, on that database."""
    url = urls_of(address, address.database).admin
    own = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "SUTURE_DATABASE_ADMIN_URL": url}
    argv = [sys.executable, "-m", "cli", "up", "--data", str(data), "--api-port", str(ports.choose(0)[0])]
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, cwd=ROOT, env=os.environ | own)
    try:
        async with asyncio.timeout(_START_WITHIN):
            await until_said(process, READY)
        drained = asyncio.create_task(drain(process))
        yield
    finally:
        process.terminate()
        await process.wait()
    await drained


async def measure(options: argparse.Namespace, place: Path) -> None:
    async with served(place / "database", durable=True) as address, product(place / "data", address):
        url, token = _connection(place / "data")
        await _allow(url, token)
        order = Order(
            url=url,
            token=token,
            logs=str(options.data),
            seconds=options.seconds,
            per_minute=options.per_minute or None,
            batch=options.batch,
            connections=options.connections,
            bursts=options.bursts,
        )
        known = {name: getattr(address, name) for name in ("host", "port", "user", "database")}
        counting = await asyncpg.connect(**known, password=address.password.get_secret_value())
        try:
            await _run(order, counting)
        finally:
            await counting.close()


def _connection(data: Path) -> tuple[str, str]:
    """Where the API is, and the first admin's token."""
    left = Connection.model_validate_json(connection_file(data).read_text())
    return left.api_url, (data / "admin.token").read_text().strip()


async def _allow(url: str, token: str) -> None:
    """The quota of an org is no part of what is measured."""
    async with httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        for name in ("signals", "requests"):
            answer = await client.put("/api/v1/quotas", json={"name": name, "per_minute": 10_000_000})
            answer.raise_for_status()


async def _run(order: Order, counting: Any) -> None:
    sending = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sender", stdin=PIPE, stdout=PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    told = asyncio.create_task(sending.communicate(order.model_dump_json().encode()))
    held = await _most_held(sending.pid, told)
    sent = Sent.model_validate_json((await told)[0])
    behind = await _caught_up(counting, sent)
    show(
        order,
        sent,
        behind,
        held,
        {row["service"]: (row["at"], row["title"]) for row in await counting.fetch(_INCIDENTS)},
        await _counts(counting),
    )


async def _most_held(sender: int, told: asyncio.Task[Any]) -> float:
    """The greatest proportional set size, in MB, of every process of the product and its database, looked at every 5 s."""
    most = 0.0
    while not told.done():
        most = max(most, await asyncio.to_thread(held, besides=sender))
        await asyncio.wait({told}, timeout=5)
    return most


async def _caught_up(counting: Any, sent: Sent) -> float:
    """Seconds until every line has been read and added up."""
    began = time.monotonic()
    while await counting.fetchval(_ADDED_UP) < sent.items.get("stored", 0) + sent.items.get("counted", 0):
        if time.monotonic() - began > _CAUGHT_UP_WITHIN:
            return float("inf")
        await asyncio.sleep(0.2)
    return time.monotonic() - began


async def _counts(counting: Any) -> dict[str, int]:
    wanted = {"stored": _SIGNALS, "added_up": _ADDED_UP, "templates": _TEMPLATES}
    return {name: await counting.fetchval(statement) for name, statement in wanted.items()}


def show(
    order: Order, sent: Sent, behind: float, held: float, incidents: dict[str, tuple[float, str]], counts: dict[str, int]
) -> None:
    stored = sent.items.get("stored", 0)
    counted = sent.items.get("counted", 0)
    answers = sorted(took for _, took in sent.answers)
    waits = sorted(incidents[name][0] - at for name, at in sent.bursts.items() if name in incidents)
    missed = len(sent.bursts) - len(waits)
    figures: dict[str, Any] = {
        "lines_per_min": round(60 * (stored + counted) / sent.took_s),
        "answered_stored": stored,
        "answered_counted": counted,
        "found_stored": counts["stored"],
        "added_up": counts["added_up"],
        "lost": abs(stored - counts["stored"]) + abs(stored + counted - counts["added_up"]),
        "templates": counts["templates"],
        "answer_p50_ms": round(1000 * statistics.median(answers)),
        "answer_p99_ms": round(1000 * answers[int(0.99 * (len(answers) - 1))]),
        "incident_p50_s": round(statistics.median(waits), 2) if waits else None,
        "incident_p95_s": round(waits[int(0.95 * (len(waits) - 1))], 2) if waits else None,
        "bursts_missed": missed,
        "other_incidents": len([name for name in incidents if name not in sent.bursts]),
        "caught_up_s": round(behind, 1),
        "pss_mb": round(held),
    }
    for name, value in figures.items():
        print(f"{name:<20}{value!s:>14}")
    print("statuses", sent.statuses, "items", sent.items)
    slowest = sorted(sent.answers, key=lambda each: -each[1])[:_SLOWEST]
    print("the slowest answers:", ", ".join(f"{1000 * took:.0f} ms in second {at:.0f}" for at, took in sorted(slowest)))
    for name, (_, title) in incidents.items():
        if name not in sent.bursts:
            print(f"also opened: {title}")
    print(json.dumps({"bench": "ingest", "asked_per_minute": order.per_minute} | figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "nezha", help="a folder with *_log.csv files of pods")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--per-minute", type=int, default=210_000, help="0 sends as fast as lines are taken")
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--bursts", type=int, default=20, help="services that fail, one after the other")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="suture-bench-") as folder:
        place = Path(folder)
        for each in (place, place / "database"):
            each.mkdir(exist_ok=True)
            each.chmod(0o711)  # the database server is another user
        asyncio.run(measure(options, place))


if __name__ == "__main__":
    main()
