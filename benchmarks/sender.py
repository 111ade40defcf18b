"""Posts log lines from several connections at a steady rate, and now and then a burst of errors of a service of its own.

Run by `benchmarks.ingest` as a process of its own, `python -m benchmarks.sender`: it reads an `Order` from standard input and
writes a `Sent` to standard output.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from benchmarks.files import rows
from domain.base import Value

_LEVELS = {"INFO": "info", "WARN": "warning", "ERROR": "error", "DEBUG": "debug"}
_AT = '"ts":""'
_LATE = 30.0


class Order(Value):
    """What to send where: `per_minute` lines in all, as fast as they are taken when it is None."""

    url: str
    token: str
    logs: str
    seconds: float
    per_minute: int | None
    batch: int
    connections: int
    bursts: int
    burst_lines: int = 100


class Sent(Value):
    """What came of it: each answer's second and how many it took, lines by their answer, answers by status, and when each burst
    was sent."""

    answers: tuple[tuple[float, float], ...]
    items: dict[str, int]
    statuses: dict[str, int]
    bursts: dict[str, float]
    took_s: float


class Sender:
    def __init__(self, order: Order, client: httpx2.AsyncClient) -> None:
        self._order = order
        self._client = client
        self._lines = itertools.cycle(_lines(Path(order.logs)))
        self._answers: list[tuple[float, float]] = []
        self._began = time.perf_counter()
        self._items: dict[str, int] = {}
        self._statuses: dict[str, int] = {}
        self._bursts: dict[str, float] = {}
        self._sent = 0

    async def run(self) -> Sent:
        began = time.monotonic()
        until = began + self._order.seconds
        await asyncio.gather(*(self._connection(began, until) for _ in range(self._order.connections)), self._burst(began))
        return Sent(
            answers=tuple(self._answers),
            items=self._items,
            statuses=self._statuses,
            bursts=self._bursts,
            took_s=time.monotonic() - began,
        )

    async def _connection(self, began: float, until: float) -> None:
        """One batch after the other, none before its time."""
        while True:
            if self._order.per_minute is not None:
                due = began + 60 * self._sent / self._order.per_minute
                self._sent += self._order.batch
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            if time.monotonic() >= until:
                return
            at = f'"ts":"{datetime.now(UTC).isoformat()}"'
            body = "\n".join(itertools.islice(self._lines, self._order.batch)).replace(_AT, at)
            await self._post(body)

    async def _burst(self, began: float) -> None:
        """Services that say one ordinary line a second; one after the other they fail."""
        names = [f"canary-{number}" for number in range(self._order.bursts)]
        calm = min(_LATE, self._order.seconds / 3)
        pause = (self._order.seconds - calm) / max(1, len(names))
        for second in itertools.count():
            now = time.monotonic() - began
            if now >= self._order.seconds or not names:
                return
            failing = [name for number, name in enumerate(names) if calm + number * pause <= now and name not in self._bursts]
            usual = [_line(name, f"request {second} served in {second % 7} ms", "info") for name in names]
            await self._post("\n".join(usual).replace(_AT, f'"ts":"{datetime.now(UTC).isoformat()}"'))
            for name in failing[:1]:
                self._bursts[name] = datetime.now(UTC).timestamp()
                broken = [
                    _line(name, f"request {number} failed: connection refused", "error")
                    for number in range(self._order.burst_lines)
                ]
                await self._post("\n".join(broken).replace(_AT, f'"ts":"{datetime.now(UTC).isoformat()}"'))
            await asyncio.sleep(max(0.0, began + second + 1 - time.monotonic()))

    async def _post(self, body: str) -> None:
        began = time.perf_counter()
        answer = await self._client.post("/api/v1/signals/ingest", content=body.encode())
        self._answers.append((began - self._began, time.perf_counter() - began))
        self._statuses[str(answer.status_code)] = self._statuses.get(str(answer.status_code), 0) + 1
        if answer.status_code < 300:
            told = answer.json()
            for word in ("stored", "counted", "duplicates", "refused"):
                self._items[word] = self._items.get(word, 0) + told.get(word, 0)


def _lines(logs: Path) -> list[str]:
    """Each line as an item whose time is still to be set, of the service whose pod has said it."""
    return [_line(service, text, level) for file in sorted(logs.rglob("*_log.csv*")) for service, text, level in _read(file)]


def _read(file: Path) -> Iterator[tuple[str, str, str]]:
    for row in rows(file):
        text = json.loads(row["Log"])["log"].rstrip("\n")
        level = next((_LEVELS[word] for word in text.split()[:4] if word in _LEVELS), "info")
        yield row["PodName"].rsplit("-", 2)[0], text, level


def _line(service: str, text: str, level: str) -> str:
    item = {
        "kind": "log",
        "source": "bench",
        "environment": "prod",
        "service": service,
        "severity": level,
        "text": text,
        "ts": "",
    }
    return json.dumps(item, separators=(",", ":"))


async def main() -> None:
    order = Order.model_validate_json(sys.stdin.read())
    limits = httpx2.Limits(max_connections=order.connections + 1)
    headers = {"Authorization": f"Bearer {order.token}", "Content-Type": "application/x-ndjson"}
    async with httpx2.AsyncClient(base_url=order.url, headers=headers, limits=limits, timeout=60) as client:
        sys.stdout.write((await Sender(order, client).run()).model_dump_json())


if __name__ == "__main__":
    asyncio.run(main())
