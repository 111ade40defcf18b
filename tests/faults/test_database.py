"""A database that dies, loses its answers, is full or makes transactions collide."""

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from sqlalchemy import text

from adapters.redaction import OrgRedactors
from domain.base import OrgId, SignalId
from domain.errors import UnavailableError
from domain.identity import Caller
from domain.outcome import StepOutcome, StepRef
from domain.plan import Direction
from domain.signal import Signal, SignalKind
from services.admission import Admission
from services.guard import Guard
from services.intake import Intake
from services.ledger import Ledger
from services.redacting import Redacting
from storage.engine import Database, open_engine
from tests.database import HMAC_KEY, Tenant
from tests.faults import checker
from tests.faults.desk import a_target
from tests.faults.report import FULL, bar, counted, p95
from tests.faults.servers import AckLostProxy, own_server

SEED = 20_261_121
WRITERS = 6
KILLS = 5 if FULL else 3  # more in a row, and the supervisor waits before it starts the server again
RECOVERED_WITHIN = bar(5.0)
ANSWERED_WITHIN = bar(2.0)
_OWN_ORG = """
with made as (insert into orgs (name) values (:name) returning id), there as (
  insert into environments (org_id, name, is_production) select id, 'prod', true from made)
select id from made"""


def a_signal(key: str) -> Signal:
    return Signal(source="faults", kind=SignalKind.EVENT, ts=datetime.now(UTC), key="k", text="x", idempotency_key=key)


def intake(database: Database) -> Intake:
    guard = Guard(region="local", defaults={"signals": 10_000_000, "runs": 10_000})
    return Intake(database, Ledger(), guard, Redacting(database, Ledger(), OrgRedactors(HMAC_KEY)), Admission())


@asynccontextmanager
async def opened(url: str, *, size: int = 8):
    database = Database(open_engine(url, size=size))
    try:
        yield database
    finally:
        await database.close()


@pytest_asyncio.fixture(scope="module")
async def server(kms):
    async with own_server(kms) as started:
        yield started


class Writers:
    """Clients that write without pause, and remember what was acknowledged and what was refused."""

    def __init__(self, database: Database, caller: Caller) -> None:
        self._intake, self._caller = intake(database), caller
        self.acked: list[tuple[float, SignalId]] = []
        self.refused: list[float] = []
        self.surprises: list[str] = []

    @asynccontextmanager
    async def at_work(self):
        tasks = [asyncio.create_task(self._write(number)) for number in range(WRITERS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def wrote(self, count: int) -> None:
        seen = len(self.acked) + count
        async with asyncio.timeout(30):
            while len(self.acked) < seen:
                await asyncio.sleep(0.01)

    async def _write(self, writer: int) -> None:
        number = 0
        while True:
            number += 1
            try:
                received = await self._intake.receive(self._caller, [a_signal(f"{writer}-{number}")])
            except UnavailableError:
                self.refused.append(time.monotonic())
                await asyncio.sleep(0.02)
            except Exception as error:  # noqa: BLE001 - what else comes is what this test looks for
                self.surprises.append(f"{type(error).__name__}: {error}"[:200])
                await asyncio.sleep(0.02)
            else:
                self.acked.append((time.monotonic(), received[0].event_id))


async def _own_org(server, tenant: Tenant) -> Caller:
    """The tenant's admin, as if he were of an org of the own server."""
    async with opened(server.urls.admin) as admin, admin._engine.begin() as connection:
        org = OrgId.of((await connection.execute(text(_OWN_ORG), {"name": f"org-{time.time_ns()}"})).scalar_one())
    principal = tenant.admin.principal.model_copy(update={"org": org})
    return tenant.admin.model_copy(update={"principal": principal})


async def test_f09_a_killed_server_loses_nothing_that_was_acknowledged(server, tenant, fault):
    """Under load: whoever asks meanwhile is told to come again, and writing goes on within five seconds."""
    caller = await _own_org(server, tenant)
    recoveries, broken = [], []
    async with opened(server.urls.app) as database:
        writers = Writers(database, caller)
        async with writers.at_work():
            for _ in range(KILLS):
                await writers.wrote(100)
                before, killed_at = len(writers.acked), time.monotonic()
                await server.kill()
                async with asyncio.timeout(30):
                    while not (writers.refused and writers.refused[-1] >= killed_at):
                        await asyncio.sleep(0.01)
                    while not (writers.acked[-1][0] > max(writers.refused[-1], killed_at) and len(writers.acked) > before):
                        await asyncio.sleep(0.01)
                recoveries.append(writers.acked[-1][0] - killed_at)
                await writers.wrote(50)
    async with opened(server.urls.admin) as admin:
        broken += await checker.lost_signals(admin._engine, caller.org, [each for _, each in writers.acked])
    broken += writers.surprises
    broken += [f"recovered after {each:.2f} s" for each in recoveries if each > RECOVERED_WITHIN]
    fault.note(
        runs=len(recoveries),
        violations=broken,
        acked=len(writers.acked),
        refused_503=len(writers.refused),
        recovered_p95_s=p95(recoveries),
    )


async def test_f14_a_full_server_is_no_hang(server, tenant, fault):
    """No room for one more connection: the answer is that there is none, within two seconds."""
    caller = await _own_org(server, tenant)
    waits = []
    async with opened(server.urls.admin) as admin:
        async with admin._engine.begin() as connection:
            await connection.execute(text("alter role suture_app connection limit 1"))
        async with opened(server.urls.app) as one, one.transaction(caller.org), opened(server.urls.app) as other:
            for _ in range(5):
                began = time.monotonic()
                with pytest.raises(UnavailableError):
                    await other.ping()
                waits.append(time.monotonic() - began)
        async with admin._engine.begin() as connection:
            await connection.execute(text("alter role suture_app connection limit -1"))
    slow = [f"waited {each:.2f} s" for each in waits if each > ANSWERED_WITHIN]
    fault.note(runs=len(waits), violations=slow, full_server_longest_s=max(waits))


async def test_f14_an_exhausted_pool_is_no_hang(database_urls, org, fault):
    """A pool of two and thirty transactions that hang: the others are told within two seconds."""
    enough, waits, held = asyncio.Event(), [], []

    async def hanging(database: Database) -> None:
        began = time.monotonic()
        try:
            async with database.transaction(org):
                held.append(1)
                await enough.wait()
        except UnavailableError:
            waits.append(time.monotonic() - began)
            if len(waits) == 28:
                enough.set()

    async with opened(database_urls.app, size=2) as database, asyncio.timeout(20):
        await asyncio.gather(*(hanging(database) for _ in range(30)))
    slow = [f"waited {each:.2f} s" for each in waits if each > ANSWERED_WITHIN]
    fault.note(runs=30, violations=slow, served=len(held), told=len(waits), told_p99_s=max(waits))


async def test_f11_lost_answers_make_no_duplicates(postgres, database_urls, superuser, tenant, desk, fault, tmp_path_factory):
    """Of every transaction any answer may be lost: callers ask again, and there is exactly one row, one effect, one receipt."""
    folder = tmp_path_factory.mktemp("proxy")
    asked, again = counted(1_000), 0

    async def insist(act) -> object:
        nonlocal again
        while True:
            try:
                return await act()
            except UnavailableError:
                again += 1

    proxy = AckLostProxy(postgres, folder, losing=0.2, seed=SEED)
    async with proxy.open(), opened(proxy.urls("suture_tests").app, size=4) as database:
        taking = intake(database)
        signals = [a_signal(f"lost-{number}") for number in range(asked)]
        received = [await insist(lambda each=each: taking.receive(tenant.admin, [each])) for each in signals]
        remediation = desk.remediation(database=database)
        for _ in range(counted(200)):
            ref = await desk.granted(a_target())
            await insist(lambda ref=ref: remediation.begin(ref))
            await insist(lambda ref=ref: remediation.prepare(ref))
            said = await insist(lambda ref=ref: remediation.step(StepRef(plan=ref, step=0, direction=Direction.DO)))
            assert said is StepOutcome.DONE
    broken = await checker.lost_signals(superuser, tenant.org, [each[0].event_id for each in received])
    broken += await checker.ungranted(superuser, desk.runner.ledger)
    broken += [] if len(desk.runner.ledger) == counted(200) else [f"{len(desk.runner.ledger)} effects"]
    async with superuser.connect() as connection:
        rows = text("select count(*), count(distinct idempotency_key) from signals where org_id = :org")
        stored = tuple((await connection.execute(rows, {"org": tenant.org})).one())
    broken += [] if stored == (asked, asked) else [f"{stored} rows and keys of {asked} signals"]
    fault.note(
        runs=proxy.lost_commits + proxy.lost_others,
        violations=broken,
        commits=proxy.commits,
        lost_commits=proxy.lost_commits,
        other_answers=proxy.others,
        lost_others=proxy.lost_others,
        asked_again=again,
        rows=stored[0],
        seed=SEED,
    )
