"""Clients that send a request so slowly that it never ends: they are cut, and nobody else waits for them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from statistics import quantiles

import httpx2

from tests.faults.report import bar, counted
from tests.processes import serving_api

CUT_WITHIN_S = 10.0
SLACK_S = 2.0
EVERY_S = 1.0
ASKED = 300
TIMES_SLOWER = bar(2.0)
LEAST_S = 0.02
"""A p99 below it is compared as if it were this: of so little the machine's own noise is the most."""

HEAD = b"POST %b HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
PATHS = (b"/api/v1/events", b"/api/v1/signals/ingest", b"/api/v1/ingest/alertmanager/x")


class Slow:
    """One connection that says a byte each second, in the body or still in the head, until it is cut."""

    def __init__(self, number: int, port: int) -> None:
        self._is_head = number % 3 == 0
        self._path = PATHS[number % len(PATHS)]
        self._port = port
        self.lasted = 0.0
        self.answer = b""

    async def dribble(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        reading, began = asyncio.create_task(reader.read()), time.monotonic()
        try:
            writer.write(HEAD % self._path + (b"X-Slow: " if self._is_head else b"Content-Length: 100000\r\n\r\n"))
            while not reading.done():
                with suppress(ConnectionError):
                    writer.write(b"x")
                    await writer.drain()
                await asyncio.wait({reading}, timeout=EVERY_S)
            self.lasted = time.monotonic() - began
            with suppress(ConnectionError):
                self.answer = await reading
        finally:
            reading.cancel()
            writer.transport.abort()

    @property
    def fault(self) -> str | None:
        """What is wrong with how it was cut; a head that has not ended is no request, and is not answered."""
        if self.lasted > CUT_WITHIN_S + SLACK_S:
            return f"cut after {self.lasted:.1f} s"
        expected = b"" if self._is_head else b"HTTP/1.1 408"
        return (
            None if self.answer.startswith(expected) and bool(expected) == bool(self.answer) else f"said {self.answer[:80]!r}"
        )


@asynccontextmanager
async def dribbling(count: int, port: int) -> AsyncIterator[list[Slow]]:
    """So many slow clients, all connected; at the end of the block each has been cut."""
    clients = [Slow(number, port) for number in range(count)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for each in clients:
            group.create_task(each.dribble())
        await asyncio.sleep(EVERY_S)
        yield clients


async def p99_of_good_clients(client: httpx2.AsyncClient) -> tuple[float, list[int]]:
    waits, statuses = [], []
    for number in range(ASKED):
        began = time.monotonic()
        body = {"event_type": "good", "payload": {"number": number}}
        statuses.append((await client.post("/api/v1/events", json=body)).status_code)
        waits.append(time.monotonic() - began)
    return quantiles(waits, n=100)[98], statuses


async def test_f30_slow_clients_are_cut_and_slow_nobody_down(chosen, tenant, tmp_path, fault):
    """Sockets that dribble are cut at ten seconds; meanwhile the p99 of good clients is less than twice their usual one."""
    count = counted(500)
    async with serving_api(chosen, tmp_path) as (_, port):
        headers = {"Authorization": f"Bearer {tenant.token}"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
            await p99_of_good_clients(client)
            before, _ = await p99_of_good_clients(client)
            async with dribbling(count, port) as slow:
                during, statuses = await p99_of_good_clients(client)
    broken = [each.fault for each in slow if each.fault]
    broken += [f"a good client was answered {each}" for each in statuses if each != 201]
    allowed = TIMES_SLOWER * max(before, LEAST_S)
    broken += [f"p99 {during:.3f} s while they dribbled, {before:.3f} s before"] if during > allowed else []
    lasted = max(each.lasted for each in slow)
    fault.note(runs=count, violations=broken, p99_before_s=before, p99_during_s=during, cut_after_s=lasted)
