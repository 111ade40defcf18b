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
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

import bootstrap
from adapters.codec import data_converter
from adapters.private_file import read_or_create
from adapters.secrets import MasterKeyFile
from benchmarks.orchestration.bare import ALONE, BareWorkflow, Noop
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
from benchmarks.orchestration.story import Process, Stories
from benchmarks.orchestration.stubs import Stubs, carrier_of
from domain.base import IncidentId, OrgId
from domain.identity import Caller
from domain.incident import Status
from domain.refs import IncidentRef
from provision import founding, provision
from services.founding import first_admin
from services.identity import Identity
from services.ledger import Ledger
from services.platform import Platform
from settings import Settings
from stack.bundle import Sources
from stack.local import Elsewhere, Endpoints, Plan, Preferred, Stack, scratch
from storage import identity as identities
from storage.engine import Database, open_engine
from tests.database import HMAC_KEY, PASSWORDS, DatabaseUrls, create_database
from tests.engine import ENVIRONMENTS, QUEUES, ROOT, search, search_attributes
from worker import open_worker
from workflows.client import connect
from workflows.incident import IncidentWorkflow

BARE_BAR, BOOKKEEPING_BAR, EVENTS_BAR = 1.25, 1.6, 10.0
NOISE = 0.05
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
    """Bare activities against the whole story on the real services."""
    process, numbers = Process(), Numbers()
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(bootstrap.worker_parts(chosen, process=process))
        services = await stack.enter_async_context(bootstrap.api_services(chosen))
        noop = Noop(sizes[1])
        served = {queue: (*parts.activities_of(queue), *((noop,) if queue == "io" else ())) for queue in QUEUES}
        await stack.enter_async_context(_workers(parts.client, served, chosen))
        assert parts.relay is not None
        relay = asyncio.create_task(parts.relay.run())
        try:
            stories = Stories(services, parts.client, caller)
            await stories.prepare(shape.concurrency, process)
            await stories.once(0)
            stored = await histories(parts.client, await stories.workflows())
            bare = Bare(parts.client, caller.org, round(stored.activities), sizes[0])
            measured = await rounds(bare.once, stories.once, shape, numbers, name="with bookkeeping")
            return Figure("story / bare", measured, await histories(parts.client, await stories.workflows()))
        finally:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)


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


@asynccontextmanager
async def _stack(data: Path) -> AsyncIterator[Endpoints]:
    """As on one machine: everything durable, no clock but the real one."""
    plan = Plan(
        tools=search(),
        policies=Sources(rego=ROOT / "policies" / "rego", data=ROOT / "policies" / "data"),
        search_attributes=search_attributes(),
        elsewhere=Elsewhere(),
        preferred=Preferred(temporal=0, temporal_ui=0, opa=0),
    )
    async with Stack(data, plan, report=lambda _: None) as endpoints:
        yield endpoints


def _settings(endpoints: Endpoints, urls: DatabaseUrls, data: Path) -> Settings:
    read_or_create(data / "keys" / "hmac.key", lambda: HMAC_KEY)
    return Settings(
        data=data,
        database_url=urls.app,
        database_relay_url=urls.relay,
        database_pool=16,
        temporal_address=endpoints.temporal_address,
        opa_url=endpoints.opa_url,
        queues=QUEUES,
        environments=ENVIRONMENTS,
        lease=timedelta(seconds=30),
    )


async def _found(urls: DatabaseUrls, kms: MasterKeyFile) -> Caller:
    """An org with the automatic mode released, and its admin."""
    platform, app = Database(open_engine(urls.platform, size=2)), Database(open_engine(urls.app, size=2))
    try:
        org = (await Platform(platform, actor="bench").create_org("bench")).id
        token = await founding(app, kms=kms, hmac_key=HMAC_KEY).found(org, admin=first_admin("admin"), keep=lambda _: None)
        async with app.transaction(org) as session:
            await identities.set_automatic(session, org, released=True)
        assert token is not None
        return await Identity(app, Ledger(), hmac_key=HMAC_KEY).authenticate(token.secret.get_secret_value())
    finally:
        await platform.close()
        await app.close()


def show(figures: Sequence[Figure], where: str, shape: Shape) -> None:
    """The table, then the JSON line with medians."""
    print(f"{where}\n{shape.rounds} rounds of bare, measured, bare; {shape.runs} runs a block; concurrency {shape.concurrency}")
    print(
        f"{'figure':<18}{'wall ratio':>20}{'CPU ratio':>20}{'A/A':>20}{'p50 ms':>9}{'p95 ms':>9}{'k':>6}{'events/k':>10}{'kB/run':>8}"
    )
    for each in figures:
        p50, p95 = (1_000 * percentile(each.latencies, share) for share in (0.5, 0.95))
        cells = [spread([getattr(one, name) for one in each.rounds]) for name in ("ratio", "cpu_ratio", "aa")]
        stored = each.stored
        print(
            f"{each.name:<18}{cells[0]:>20}{cells[1]:>20}{cells[2]:>20}{p50:>9.0f}{p95:>9.0f}"
            f"{stored.activities:>6.0f}{stored.events / stored.activities:>10.1f}{stored.bytes / 1_000:>8.1f}"
        )
    bare, kept = figures
    aa = statistics.median([one.aa for each in figures for one in each.rounds])
    if not math.isclose(aa, 1.0, abs_tol=NOISE):
        print(f"A/A is off by more than {NOISE:.0%}: the machine is too noisy for these figures to count")
    print(f"bars: bare <= {BARE_BAR}, with bookkeeping <= {BOOKKEEPING_BAR}, events per activity <= {EVENTS_BAR:.0f}")
    line = {
        "bench": "overhead",
        "ratio_bare": round(bare.ratio, 3),
        "ratio_bookkeeping": round(kept.ratio, 3),
        "aa_ratio": round(aa, 3),
        "events_per_activity": round(max(each.stored.events / each.stored.activities for each in figures), 2),
        "p50_ms": round(1_000 * percentile(bare.latencies, 0.5), 1),
        "p95_ms": round(1_000 * percentile(bare.latencies, 0.95), 1),
    }
    print(json.dumps(line))


async def measure(shape: Shape) -> None:
    with scratch() as folder, tempfile.TemporaryDirectory(prefix="suture-bench-") as own:
        async with _stack(folder) as endpoints:
            urls = await create_database(endpoints.postgres, "suture_bench")
            data = Path(own)
            kms = MasterKeyFile(data / "keys" / "master.key")
            await provision(urls.admin, passwords=PASSWORDS, kms=kms, hmac_key=HMAC_KEY)
            chosen = _settings(endpoints, urls, data)
            bare, sizes = await without_bookkeeping(endpoints, chosen, shape)
            kept = await with_bookkeeping(chosen, await _found(urls, kms), shape, sizes)
            show([bare, kept], await surroundings(await Client.connect(endpoints.temporal_address)), shape)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement")
    parser.add_argument("--rounds", type=int, default=7, help="how often bare, measured, bare")
    parser.add_argument("--runs", type=int, default=24, help="runs of one block; the full protocol has 80")
    parser.add_argument("--concurrency", type=int, default=10)
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    shape = Shape(rounds=chosen.rounds, runs=chosen.runs, concurrency=chosen.concurrency)
    asyncio.run(measure(Shape(rounds=2, runs=10, concurrency=5) if chosen.quick else shape))


if __name__ == "__main__":
    main()
