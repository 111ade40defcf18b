"""More log lines than can be stored: they are counted, or refused as each protocol says it, and nothing taken is lost."""

import asyncio
import itertools
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2
import pytest_asyncio
from sqlalchemy import text

from benchmarks.stack import held
from tests.engine import until
from tests.faults.installation import Installation, installed
from tests.faults.report import FULL, bar

CONNECTIONS, BATCH = 16, 500
LASTS_S = 60.0 if FULL else 8.0
MOST_MB = 2_048
SEEN_WITHIN_S = bar(5.0)
ADDED_UP = text("select coalesce(sum(count), 0)::bigint from signal_rollups_1m where service like 'burst-%'")
STOOD_FOR = text("select coalesce(sum(count), 0)::bigint from signals where service like 'burst-%'")
INCIDENT = text("select first_seen_at from incidents where service = :service")
SAYS = {"ours": {200, 429}, "alertmanager": {202, 503}, "otlp": {200, 429, 503}}


@pytest_asyncio.fixture
async def installation():
    async with installed() as started:
        yield started


@dataclass
class Burst:
    """Senders that send as fast as they are answered; those of two other protocols beside them."""

    installation: Installation
    client: httpx2.AsyncClient
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in SAYS})
    items: Counter[str] = field(default_factory=Counter)
    held: list[float] = field(default_factory=list)

    async def rage(self) -> None:
        until_then = time.monotonic() + LASTS_S
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                group.create_task(self._lines(number, until_then))
            for kind in ("alertmanager", "otlp"):
                group.create_task(self._deliveries(kind, until_then))
            group.create_task(self._weigh(until_then))

    async def lines(self, service: str, severity: str, said: str, count: int) -> None:
        at = datetime.now(UTC).isoformat()
        known = {"kind": "log", "source": "burst", "environment": "prod", "service": service, "severity": severity, "ts": at}
        items = [known | {"text": said.format(number=number)} for number in range(count)]
        body = "\n".join(json.dumps(each) for each in items).encode()
        answer = await self.client.post(
            "/api/v1/signals/ingest", content=body, headers={"Content-Type": "application/x-ndjson"}
        )
        self.statuses["ours"][answer.status_code] += 1
        if answer.status_code == 200:
            told = answer.json()
            self.items.update({word: told[word] for word in ("stored", "counted")})
        elif answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1

    async def _lines(self, number: int, until_then: float) -> None:
        for turn in itertools.count():
            if time.monotonic() >= until_then:
                return
            await self.lines(
                f"burst-{number % 6}", "info", f"request {turn}.{{number}} of worker {number} served in 12 ms", BATCH
            )

    async def _deliveries(self, kind: str, until_then: float) -> None:
        config = {"environment": "prod", "service": "elsewhere"}
        made = (await self.client.post("/api/v1/connectors", json={"kind": kind, "name": kind, "config": config})).json()
        path = f"/api/v1/ingest/{kind}/{made['connector']['endpoint']}{'/v1/logs' if kind == 'otlp' else ''}"
        while time.monotonic() < until_then:
            answer = await self.client.post(path, json=_delivery(kind), headers={"Authorization": f"Bearer {made['secret']}"})
            self.statuses[kind][answer.status_code] += 1
            await asyncio.sleep(0.05)

    async def _weigh(self, until_then: float) -> None:
        while time.monotonic() < until_then:
            self.held.append(await asyncio.to_thread(held))
            await asyncio.sleep(2)


def _delivery(kind: str) -> dict[str, object]:
    at = datetime.now(UTC)
    if kind == "otlp":
        record = {"timeUnixNano": str(int(at.timestamp() * 1e9)), "severityNumber": 9, "body": {"stringValue": "fine"}}
        return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    alert = {"status": "firing", "labels": {"alertname": "Calm"}, "startsAt": at.isoformat(), "fingerprint": "00ff"}
    return {"version": "4", "groupKey": "{}", "status": "firing", "alerts": [alert]}


async def test_f27_a_burst_is_counted_or_refused_and_what_follows_it_is_seen(installation, fault):
    """Of what was answered as taken every line is added up, and a service that fails right after it is an incident."""
    headers = {"Authorization": f"Bearer {installation.admin_token}"}
    limits = httpx2.Limits(max_connections=CONNECTIONS + 4)
    async with httpx2.AsyncClient(base_url=installation.api_url, headers=headers, limits=limits, timeout=60) as client:
        for name in ("requests", "signals"):
            (await client.put("/api/v1/quotas", json={"name": name, "per_minute": 10_000_000})).raise_for_status()
        burst = Burst(installation, client)
        await burst.lines("victim", "info", "order {number} paid", 20)
        burst.items.clear()
        await burst.rage()
        taken = burst.items["stored"] + burst.items["counted"]
        began = time.monotonic()
        await burst.lines("victim", "error", "order {number} failed: connection refused", 100)
        await until(lambda: _is_incident(installation, "victim"), within=60, why="the failing service is an incident")
        seen_s = time.monotonic() - began
        await until(lambda: _is_added_up(installation, taken), within=120, why="every line is added up")

    wrong = {name: set(told) - SAYS[name] for name, told in burst.statuses.items()}
    violations = [f"{name} heard {sorted(others)}" for name, others in wrong.items() if others]
    violations += [f"{max(burst.held):.0f} MB were held"] if max(burst.held) > MOST_MB else []
    violations += [f"the incident took {seen_s:.1f} s"] if seen_s > SEEN_WITHIN_S else []
    fault.note(
        runs=sum(sum(told.values()) for told in burst.statuses.values()),
        violations=violations,
        lines_per_min=round(60 * taken / LASTS_S),
        counted=burst.items["counted"],
        refused=burst.statuses["ours"][429],
        pss_mb=round(max(burst.held)),
        incident_s=seen_s,
    )


async def _is_incident(installation: Installation, service: str) -> bool:
    async with installation.superuser.connect() as connection:
        return (await connection.execute(INCIDENT, {"service": service})).first() is not None


async def _is_added_up(installation: Installation, taken: int) -> bool:
    async with installation.superuser.connect() as connection:
        stands_for, added_up = [await connection.scalar(each) for each in (STOOD_FOR, ADDED_UP)]
        assert stands_for == taken, f"{taken} lines were answered as taken, {stands_for} are stood for"
        return added_up == taken
