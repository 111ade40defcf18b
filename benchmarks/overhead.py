"""What our orchestration costs above bare activities, without and with the database's bookkeeping.

Run as `python -m benchmarks.overhead`; `--quick` measures less. It starts its own stack and throws it away.

`Bare(k)` is k sequential activities that do nothing. `Incident` is the real `IncidentWorkflow` with its remediation on
activities that do nothing, approved by an update. `Story` is a whole run with its incident on the real services and the real
database; only stages start no process. All share server, queue, slots, pollers, converter and payload codec, and k is what
the histories say was really run.
"""

import argparse
import asyncio
import json
import math
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

import bootstrap
from adapters.codec import data_converter
from adapters.secrets import MasterKeyFile
from benchmarks.orchestration.bare import ALONE, BareWorkflow, Noop
from benchmarks.orchestration.ground import connected, durable_stack, environment_of, found_org, settings_of
from benchmarks.orchestration.pool import Pools
from benchmarks.orchestration.protocol import (
    Histories,
    Numbers,
    Round,
    Shape,
    histories,
    percentile,
    rounds,
    spread,
    surroundings,
)
from benchmarks.orchestration.story import Stories
from benchmarks.orchestration.stubs import Stubs, carrier_of
from domain.base import IncidentId, OrgId
from domain.identity import Caller
from domain.incident import Status
from domain.refs import IncidentRef
from provision import provision
from settings import Settings
from stack.local import Endpoints, scratch
from tests.database import HMAC_KEY, PASSWORDS, create_database
from tests.engine import QUEUES
from worker import open_worker
from workflows.client import connect
from workflows.incident import IncidentWorkflow

BARE_BAR, BOOKKEEPING_BAR, EVENTS_BAR = 1.25, 1.6, 10.0
NOISE = 0.05
COLUMNS = ("p50 ms", "p95 ms", "CPU ms", "k", "events", "kB")
_KEY = secrets.token_bytes(32)


class FixedKey:
    """One payload key for all, so that the bare figure holds no database."""

    async def current(self, org: OrgId | None) -> tuple[str, bytes]:
        return "bench", _KEY

    async def get(self, org: OrgId | None, key_id: str) -> bytes:
        return _KEY


@dataclass(frozen=True)
class Figure:
    """One comparison with bare activities."""

    name: str
    rounds: list[Round]
    stored: Histories

    @property
    def ratio(self) -> float:
        return statistics.median(each.ratio for each in self.rounds)

    @property
    def aa(self) -> float:
        return statistics.median(each.aa for each in self.rounds)

    @property
    def latencies(self) -> list[float]:
        return [each for one in self.rounds for each in one.measured.latencies]


async def without_bookkeeping(endpoints: Endpoints, chosen: Settings, shape: Shape) -> tuple[Figure, tuple[int, int]]:
    """Bare activities against the incident on stubs; also the payload bytes, asked and answered, that both have."""
    client = await connect(endpoints.temporal_address, data_converter(FixedKey()))
    stubs, numbers, org = Stubs(client), Numbers(), OrgId(int=secrets.randbits(120))

    async def incident(number: int) -> None:
        ref = IncidentRef(org=org, id=IncidentId(int=number))
        ended = await client.execute_workflow(
            IncidentWorkflow.run, ref, id=carrier_of(ref), task_queue="orchestrator", static_summary="bench"
        )
        assert ended is Status.VERIFIED, f"the incident ended as {ended}"

    noop = Noop(0)
    async with _workers(client, dict.fromkeys(QUEUES, (stubs, noop)), chosen):
        await incident(first := numbers.take())
        stored = await histories(client, [_incident_workflows(org, first)])
        sizes = round(statistics.mean(stubs.asked)), round(statistics.mean(stubs.answered))
        noop.answer(sizes[1])
        bare = Bare(client, org, round(stored.activities), sizes[0])
        measured = await rounds(bare.once, incident, shape, numbers, name="without bookkeeping")
    return Figure("incident / bare", measured, stored), sizes


class Bare:
    def __init__(self, client: Client, org: OrgId, activities: int, asked: int) -> None:
        self._client = client
        self._org = org
        self._activities = activities
        self._asked = asked

    async def once(self, number: int) -> None:
        await self._client.execute_workflow(
            BareWorkflow.run, args=[self._activities, self._asked], id=f"bare/{self._org}/{number}", task_queue=ALONE
        )


async def with_bookkeeping(chosen: Settings, caller: Caller, shape: Shape, sizes: tuple[int, int]) -> Figure:
    """Bare activities against the whole story on the real services, both on processes laid out as those of `suture up`."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="suture-pools-")))
        pools = await stack.enter_async_context(Pools(environment_of(chosen), folder, answer=sizes[1]))
        services = await stack.enter_async_context(bootstrap.api_services(chosen))
        client = await stack.enter_async_context(connected(chosen))
        stories = Stories(services, client, caller)
        await stories.prepare(shape.concurrency)
        pools.calm.unlink()
        await stories.once(0)
        stored = await histories(client, await stories.workflows())
        bare = Bare(client, caller.org, round(stored.activities), sizes[0])
        measured = await rounds(
            bare.once, stories.once, shape, Numbers(), name="with bookkeeping", clock=lambda: time.process_time() + pools.cpu()
        )
        return Figure("story / bare", measured, await histories(client, await stories.workflows()))


def _incident_workflows(org: OrgId, number: int) -> list[str]:
    ref = IncidentRef(org=org, id=IncidentId(int=number))
    return [carrier_of(ref), f"fix/{org}/{ref.id}"]


@asynccontextmanager
async def _workers(client: Client, served: dict[str, tuple[object, ...]], chosen: Settings) -> AsyncIterator[None]:
    """Every queue as the product opens it, and the bare workflow's beside them with the same limits."""
    async with AsyncExitStack() as stack:
        for queue, activities in served.items():
            await stack.enter_async_context(open_worker(client, queue, activities, chosen))
        alone = Worker(client, task_queue=ALONE, workflows=[BareWorkflow], max_cached_workflows=chosen.workflow_cache)
        await stack.enter_async_context(alone)
        yield


def show(figures: Sequence[Figure], where: str, shape: Shape) -> None:
    """The table, then the JSON line with medians."""
    print(where)
    counted = " and ".join(str(len(each.rounds)) for each in figures)
    print(f"{counted} rounds of bare, measured, bare; {shape.runs} runs a block; concurrency {shape.concurrency}")
    print(f"{'':<16}{'wall ratio':>19}{'CPU ratio':>19}{'A/A':>19}", *(f"{each:>7}" for each in COLUMNS))
    for each in figures:
        print(_row(each))
    bare, kept = figures
    aa = statistics.median([one.aa for each in figures for one in each.rounds])
    if not all(math.isclose(each.aa, 1.0, abs_tol=NOISE) for each in figures):
        print(f"A/A is off by more than {NOISE:.0%}: the machine is too noisy for these figures to count")
    print(f"bars: bare <= {BARE_BAR}, with bookkeeping <= {BOOKKEEPING_BAR}, events per activity <= {EVENTS_BAR:.0f}")
    line = {
        "bench": "overhead",
        "ratio_bare": round(bare.ratio, 3),
        "ratio_bookkeeping": round(kept.ratio, 3),
        "aa_ratio": round(aa, 3),
        "events_per_activity": round(max(each.stored.per_activity for each in figures), 2),
        "p50_ms": round(1_000 * percentile(bare.latencies, 0.5), 1),
        "p95_ms": round(1_000 * percentile(bare.latencies, 0.95), 1),
    }
    print(json.dumps(line))


def _row(figure: Figure) -> str:
    cells = [spread([getattr(one, name) for one in figure.rounds]) for name in ("ratio", "cpu_ratio", "aa")]
    p50, p95 = (1_000 * percentile(figure.latencies, share) for share in (0.5, 0.95))
    cpu = 1_000 * statistics.median(one.measured.cpu_per_run for one in figure.rounds)
    stored = figure.stored
    numbers = (p50, p95, cpu, stored.activities, stored.per_activity, stored.bytes / 1_000)
    return f"{figure.name:<16}" + "".join(f"{each:>19}" for each in cells) + "".join(f" {each:>7.1f}" for each in numbers)


async def measure(shape: Shape) -> None:
    with scratch() as folder, tempfile.TemporaryDirectory(prefix="suture-bench-") as own:
        async with durable_stack(folder) as endpoints:
            urls = await create_database(endpoints.postgres, "suture_bench")
            data = Path(own)
            kms = MasterKeyFile(data / "keys" / "master.key")
            await provision(urls.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)
            chosen = settings_of(endpoints, urls, data)
            bare, sizes = await without_bookkeeping(endpoints, chosen, shape)
            kept = await with_bookkeeping(chosen, await found_org(urls, kms), shape, sizes)
            show([bare, kept], await surroundings(await Client.connect(endpoints.temporal_address)), shape)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement")
    parser.add_argument("--rounds", type=int, default=9, help="how often bare, measured, bare, if there is time")
    parser.add_argument("--runs", type=int, default=20, help="runs of one block; the full protocol has 80")
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--within", type=int, default=80, help="seconds after which a figure begins no further round")
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    within = timedelta(seconds=chosen.within)
    shape = Shape(rounds=chosen.rounds, runs=chosen.runs, concurrency=chosen.concurrency, within=within)
    asyncio.run(measure(Shape(rounds=2, runs=10, concurrency=5) if chosen.quick else shape))


if __name__ == "__main__":
    main()
