"""Rounds of three blocks, bare, measured, bare: the ratio is against the mean of both neighbours, A/A is between them."""

import asyncio
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.workflowservice.v1 import GetClusterInfoRequest
from temporalio.client import Client

Once = Callable[[int], Awaitable[None]]
"""One run; the number is its own and never used again."""
Clock = Callable[[], float]


@dataclass(frozen=True)
class Block:
    """So many runs at one concurrency."""

    wall: float
    cpu: float
    latencies: tuple[float, ...]

    @property
    def per_run(self) -> float:
        return self.wall / len(self.latencies)

    @property
    def cpu_per_run(self) -> float:
        return self.cpu / len(self.latencies)


@dataclass(frozen=True)
class Round:
    before: Block
    measured: Block
    after: Block

    @property
    def ratio(self) -> float:
        return self.measured.per_run / statistics.mean((self.before.per_run, self.after.per_run))

    @property
    def cpu_ratio(self) -> float:
        return self.measured.cpu_per_run / statistics.mean((self.before.cpu_per_run, self.after.cpu_per_run))

    @property
    def aa(self) -> float:
        return self.after.per_run / self.before.per_run


@dataclass(frozen=True)
class Shape:
    """How much is measured."""

    rounds: int
    runs: int
    concurrency: int
    within: timedelta = timedelta(seconds=90)
    """After this long no further round of a figure begins, so that a loaded machine ends too."""


class Numbers:
    """Numbers for runs, each once."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        self._next += 1
        return self._next


async def block(once: Once, shape: Shape, numbers: Numbers, clock: Clock) -> Block:
    latencies: list[float] = []
    left = iter(range(shape.runs))

    async def lane() -> None:
        for _ in left:
            began = time.perf_counter()
            await once(numbers.take())
            latencies.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), clock()
    async with asyncio.TaskGroup() as group:
        for _ in range(shape.concurrency):
            group.create_task(lane())
    return Block(time.perf_counter() - began, clock() - cpu, tuple(latencies))


async def rounds(
    bare: Once, measured: Once, shape: Shape, numbers: Numbers, *, name: str, clock: Clock = time.process_time
) -> list[Round]:
    """A warm-up of each, then the rounds; `clock` says how long client and workers have computed."""
    warm = Shape(rounds=1, runs=max(shape.concurrency, shape.runs // 3), concurrency=shape.concurrency)
    for once in (bare, measured):
        await block(once, warm, numbers, clock)
    found: list[Round] = []
    deadline = time.monotonic() + shape.within.total_seconds()
    for number in range(shape.rounds):
        if found and time.monotonic() > deadline:
            break
        parts = [await block(once, shape, numbers, clock) for once in (bare, measured, bare)]
        found.append(Round(*parts))
        print(f"  {name} {number + 1}/{shape.rounds}: ratio {found[-1].ratio:.2f}, A/A {found[-1].aa:.2f}", flush=True)
    return found


@dataclass(frozen=True)
class Histories:
    """What the engine stored of some runs."""

    activities: float
    events: float
    bytes: float

    @property
    def per_activity(self) -> float:
        return self.events / self.activities


async def histories(client: Client, runs: Sequence[Sequence[str]]) -> Histories:
    """Means over runs, each of which may be several workflows."""
    activities, events, sizes = [], [], []
    for ids in runs:
        stored = [(await client.get_workflow_handle(each).fetch_history()).events for each in ids]
        activities.append(sum(e.HasField("activity_task_scheduled_event_attributes") for each in stored for e in each))
        events.append(sum(len(each) for each in stored))
        sizes.append(sum(e.ByteSize() for each in stored for e in each))
    return Histories(statistics.mean(activities), statistics.mean(events), statistics.mean(sizes))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


async def surroundings(client: Client) -> str:
    """The server and the machine, as far as both tell."""
    info = await client.workflow_service.get_cluster_info(GetClusterInfoRequest())
    server = f"server {info.server_version}, {info.persistence_store}, {info.history_shard_count} shard(s)"
    load = "/".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{server}; {os.cpu_count()} cores, load average {load}, the load of others included"
