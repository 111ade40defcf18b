"""In a storm log lines that are alike are counted: nothing is lost, and every count stays exact."""

from collections import Counter
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from adapters.redaction import OrgRedactors
from domain.errors import OverloadedError, QuotaExceededError
from domain.identity import Quota
from domain.refs import MonitorRef
from domain.signal import Signal, SignalKind
from services.admission import STORMY, Admission
from services.guard import Guard
from services.intake import Intake, Received, Refusal
from services.redacting import Redacting
from services.switches import Switches
from storage import log_templates
from storage.engine import now
from tests.database import HMAC_KEY
from tests.storage.watched import monitors_of

STORED = text("select text, count from signals order by id")
ADDED_UP = text("select subject, sum(count) from signal_rollups_1m group by 1 order by 1")


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def admission(clock):
    return Admission(clock)


@pytest.fixture
def intake(database, ledger, admission):
    return Intake(database, ledger, Guard(region="local"), Redacting(database, ledger, OrgRedactors(HMAC_KEY)), admission)


@pytest.fixture
def storm(admission, clock):
    """A batch has just taken long."""
    with admission.place():
        clock.at += STORMY.total_seconds()


@pytest.fixture
async def line(database, tenant):
    async with database.transaction(tenant.org) as session:
        at = await now(session)

    def made(said: str, severity: str = "info", key: str | None = None, **more: str) -> Signal:
        known = {"source": "test", "environment": "prod", "service": "checkout"} | more
        return Signal(kind=SignalKind.LOG, ts=at, text=said, severity=severity, idempotency_key=key, **known)

    return made


async def rows(database, tenant, statement):
    async with database.transaction(tenant.org) as session:
        return [tuple(row) for row in await session.execute(statement)]


async def test_lines_that_are_alike_are_stored_once_and_counted(intake, tenant, database, line, storm):
    """The first is answered `stored`, the others `counted` under its id."""
    received = await intake.ingest(tenant.admin, [*(line(f"request {number} served") for number in range(50)), line("bye")])

    assert Counter(each.status for each in received) == {"stored": 2, "counted": 49}
    assert len({each.event_id for each in received}) == 2
    assert await rows(database, tenant, STORED) == [("request 0 served", 50), ("bye", 1)]


async def test_a_monitor_adds_up_what_was_counted(intake, tenant, database, ledger, line, storm):
    """Minutes, levels and templates come to the number of lines that were sent."""
    ref = MonitorRef(org=tenant.org, environment="prod", service="checkout")
    calm = [line(f"request {number} served") for number in range(40)]
    broken = [line(f"request {number} refused by the database", "error") for number in range(17)]
    await intake.ingest(tenant.admin, calm + broken)
    await monitors_of(database, ledger).look(ref)

    assert await rows(database, tenant, ADDED_UP) == [("error", 17), ("info", 40)]
    async with database.transaction(tenant.org) as session:
        assert sorted(each.count for each in await log_templates.of_service(session, ref)) == [17, 40]


async def test_what_was_counted_is_known_when_it_comes_again(intake, tenant, database, line, storm):
    """Each line's own key was claimed for the one that stands for it."""
    batch = [line(f"request {number} served", key=f"k{number}") for number in range(10)]
    first = await intake.ingest(tenant.admin, batch[:6])
    again = await intake.ingest(tenant.admin, [*batch, batch[9]])

    assert [each.status for each in again] == ["duplicate"] * 6 + ["stored"] + ["counted"] * 3 + ["duplicate"]
    assert {each.event_id for each in again[:6]} == {first[0].event_id}
    assert [count for _, count in await rows(database, tenant, STORED)] == [6, 4]


async def test_without_a_storm_every_line_is_stored(intake, tenant, database, line):
    """However alike they are."""
    received = await intake.ingest(tenant.admin, [line("request 1 served")] * 3)

    assert [each.status for each in received] == ["stored"] * 3
    assert [count for _, count in await rows(database, tenant, STORED)] == [1, 1, 1]


async def test_too_much_at_once_is_refused_and_nothing_of_it_is_stored(intake, admission, tenant, database, line):
    """Who is refused may send it again."""
    with ExitStack() as held:
        for _ in range(64):
            held.enter_context(admission.place())
        with pytest.raises(OverloadedError):
            await intake.ingest(tenant.admin, [line("request 1 served")])
    await intake.ingest(tenant.admin, [line("request 2 served")])

    assert await rows(database, tenant, STORED) == [("request 2 served", 1)]


async def test_a_source_that_sends_more_than_it_may_is_refused_alone(intake, database, ledger, tenant, line):
    """Its items hear why; those of others are taken; and the next one event is refused as a whole."""
    await Switches(database, ledger).put_quota(tenant.admin, Quota(name="signals:vendor:noisy", per_minute=2))
    quiet, noisy = line("a"), line("b", source="noisy")
    taken = await intake.ingest(tenant.admin, [quiet, noisy])
    over = await intake.ingest(tenant.admin, [quiet, noisy, noisy])

    assert [type(each) for each in taken + over] == [Received, Received, Received, Refusal, Refusal]
    assert over[1] == Refusal(
        code="quota_exceeded", message="the quota signals:vendor:noisy is 2 per minute; try again in the next one"
    )
    with pytest.raises(QuotaExceededError, match="signals:vendor:noisy"):
        await intake.receive(tenant.admin, [noisy])
