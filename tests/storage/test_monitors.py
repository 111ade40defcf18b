"""A monitor reads every signal once, learns what is usual, and opens one incident for what stays odd."""

import asyncio
import dataclasses
from datetime import timedelta

from sqlalchemy import text

from domain.anomaly import AnomalyStatus
from domain.base import SignalId
from domain.detecting import DetectorMode
from domain.signal import Signal, SignalKind, Timing
from storage import log_templates, monitors, signals
from storage.engine import new_id, now
from tests.storage.watched import MINUTE, USUAL, monitors_of

ROLLUP = text("select sum(count), sum(total), min(lowest), max(highest) from signal_rollups_5m where subject = :subject")
RENUMBERED = text("update signals set written = cast(cast(:written as text) as xid8) where org_id = :org and value = :value")
LETTERS = text("select kind, payload->>'service' from outbox where kind like 'wake_%' order by id")


async def test_one_odd_value_opens_nothing(service):
    """It is suspected, and dismissed once the usual is back."""
    await service.send(USUAL)
    await service.monitors.look(service.ref)
    await service.tell(90, 10.1, 9.9, 10.2)

    assert await service.monitors.judge(service.ref) is None
    assert [each.status for each in await service.known()] == [AnomalyStatus.DISMISSED]
    assert await service.incidents() == []


async def test_what_stays_odd_opens_one_incident_with_its_reason(service):
    """The second odd value confirms it; what is odd besides joins the same story."""
    await service.send(USUAL)
    await service.send(USUAL, key="errors")
    await service.monitors.look(service.ref)
    await service.tell(90, 91)
    incident = await service.monitors.judge(service.ref)
    await service.tell(92)

    assert await service.monitors.judge(service.ref) is None
    [opened] = await service.incidents()
    [found] = await service.known()
    assert (opened.id, found.incident_id, found.status) == (incident, incident, AnomalyStatus.CONFIRMED)
    assert opened.title.startswith("checkout: latency: 9")
    assert ("wake_incident", None) in await service.rows(LETTERS)


async def test_a_confirmed_anomaly_is_over_when_it_was_calm_for_a_while(service):
    """Five usual values end it; one that comes back soon after is told as flapping in the end."""
    await service.send(USUAL)
    await service.monitors.look(service.ref)
    for flaps in range(4):
        await service.tell(90, 91)
        await service.monitors.judge(service.ref)
        await service.tell(*USUAL[:5])
        await service.monitors.judge(service.ref)
        newest, *_ = await service.known()
        assert newest.flaps == flaps
        assert newest.status is (AnomalyStatus.CONFIRMED if newest.is_flapping else AnomalyStatus.OVER)


async def test_every_signal_is_read_once_whatever_is_committed_first(service):
    """Two writers at a time, the earlier one commits last; sums are exact, and a second look adds nothing."""
    org = service.tenant.org
    async with service.database.transaction(org) as session:
        slow = {SignalId.of(await new_id(session)): each for each in service.signals([1.0, 2.0], after=await now(session))}
        await signals.add(session, org, slow)
        await service.send([4.0])
        seen = [(await service.monitors.look(service.ref)).signals]
    seen += [(await service.monitors.look(service.ref)).signals for _ in range(2)]

    assert seen == [0, 3, 0]
    assert await service.rows(ROLLUP, subject="latency") == [(3, 7.0, 1.0, 4.0)]


async def test_transactions_are_read_in_the_order_of_their_numbers(service, superuser):
    """99 comes before 100, whatever their letters say: nothing is read twice."""
    await service.send([1.0, 2.0])
    async with superuser.begin() as connection:
        for value, written in ((1.0, "100"), (2.0, "99")):
            await connection.execute(RENUMBERED, {"org": service.tenant.org, "value": value, "written": written})
    seen = [(await service.monitors.look(service.ref)).signals for _ in range(2)]

    assert seen == [2, 0]
    assert await service.rows(ROLLUP, subject="latency") == [(2, 3.0, 1.0, 2.0)]


async def test_two_monitors_of_one_service_count_nothing_twice(service, ledger):
    """Whoever reads the same signals later has lost its turn and reads on."""
    other = monitors_of(service.database, ledger)
    await service.send([1.0, 2.0, 3.0])
    await asyncio.gather(service.monitors.look(service.ref), other.look(service.ref))
    await other.look(service.ref)

    assert await service.rows(ROLLUP, subject="latency") == [(3, 6.0, 1.0, 3.0)]


async def test_what_was_learnt_outlives_its_process(service, ledger):
    """Another process goes on with what the first has kept."""
    await service.send(USUAL)
    await service.monitors.look(service.ref)
    await service.monitors.keep(service.ref)
    service.monitors = monitors_of(service.database, ledger)
    await service.tell(90, 91)

    assert await service.monitors.judge(service.ref) is not None


async def test_f25_late_and_early_signals_open_nothing_and_count_in_no_wrong_window(service):
    """Three days late or two hours early is stored and flagged, and says nothing of now; what is late counts for its day."""
    await service.send(USUAL)
    await service.monitors.look(service.ref)
    for ago in (timedelta(days=3), timedelta(hours=-2)):
        await service.send([90.0, 91.0, 92.0], ago=ago)
        await service.monitors.look(service.ref)
        assert await service.monitors.judge(service.ref) is None
    async with service.database.transaction(service.tenant.org) as session:
        stored = await signals.page(session, workflow=None, incident=None, after=None, limit=6)

    assert await service.known() == []
    assert await service.incidents() == []
    assert [each.timing for each in stored] == [Timing.EARLY] * 3 + [Timing.LATE] * 3
    recent = "at > suture.now() - interval '2 days'"
    for minutes in (1, 5):
        counted = f"select sum(count) filter (where {recent}), sum(count) filter (where not {recent})"
        assert await service.rows(text(f"{counted} from signal_rollups_{minutes}m")) == [(len(USUAL), 3)]


async def test_missing_data_is_found_by_asking(service):
    """Of what came every minute: when it will be missing is known, then it is, in the shadow, and told once a minute."""
    await service.tell(*USUAL[:10])
    due = await service.monitors.due(service.ref)
    await service.shift(service.tenant.org, 5 * MINUTE)
    for _ in range(3):
        await service.monitors.look(service.ref)
    [found] = await service.known()

    assert MINUTE < due < 2 * MINUTE
    assert (found.detector, found.subject, found.mode, found.odd) == ("freshness", "latency", DetectorMode.SHADOW, 2)
    assert found.reasons[0].startswith("latency: nothing for 5 min")
    assert await service.monitors.due(service.ref) is None
    assert await service.monitors.rest(service.ref) is False

    await service.shift(service.tenant.org, timedelta(seconds=2))
    assert await service.monitors.judge(service.ref) is None
    assert await service.incidents() == []
    assert await service.monitors.rest(service.ref) is True


async def test_data_that_comes_again_ends_what_was_missing(service):
    """Five times in time."""
    await service.tell(*USUAL[:10])
    await service.shift(service.tenant.org, 5 * MINUTE)
    await service.monitors.look(service.ref)
    await service.shift(service.tenant.org, timedelta(seconds=2))
    await service.monitors.judge(service.ref)
    await service.tell(*USUAL[:6])
    await service.monitors.judge(service.ref)

    assert [(each.detector, each.status) for each in await service.known()] == [("freshness", AnomalyStatus.OVER)]


async def test_an_error_never_said_before_is_found_in_the_shadow(service):
    """Among many lines that are known, with the line itself; it opens nothing."""
    await service.say(*(f"request {number} served" for number in range(200)))
    await service.say("certificate of gateway 12 has expired", severity="error")
    await service.shift(service.tenant.org, timedelta(seconds=1))
    await service.monitors.judge(service.ref)
    [found] = await service.known()

    assert (found.detector, found.status, found.mode) == ("novelty", AnomalyStatus.CONFIRMED, DetectorMode.SHADOW)
    assert found.reasons == ("never said before: certificate of gateway <*> has expired",)
    assert await service.incidents() == []


async def test_a_burst_of_errors_opens_an_incident_though_nothing_follows(service):
    """Many errors at once need no second burst to be believed."""
    await service.say(*(f"request {number} served" for number in range(50)))
    await service.say(*(f"request {number} failed: connection refused" for number in range(40)), severity="error")
    await service.shift(service.tenant.org, timedelta(seconds=1))

    assert (await service.monitors.look(service.ref)).is_ripe
    assert await service.monitors.judge(service.ref) is not None
    assert [each.title for each in await service.incidents()] == ["checkout: 40 errors in 10 s, the first that is known"]


async def test_lines_are_kept_as_templates_whoever_reads_them(service, ledger):
    """Their counts go on in another process, and a template that has become part of another is gone."""
    await service.say("user anna came", "user bert came", "disk 1 is full")
    service.monitors = monitors_of(service.database, ledger)
    await service.say("user carl came", "user dora came", "disk 2 is full", "user 12 came")

    async with service.database.transaction(service.tenant.org) as session:
        known = await log_templates.of_service(session, service.ref)
    assert sorted((each.template, each.count) for each in known) == [("disk <*> is full", 2), ("user <*> came", 5)]


async def test_a_sleeping_monitor_is_woken_by_the_next_signal_alone(service):
    """One letter when it sleeps, none while it is awake; it does not fall asleep over what it has not read."""
    await service.send([1.0])
    await service.send([2.0])
    assert await service.monitors.rest(service.ref) is False
    await service.monitors.look(service.ref)
    assert await service.monitors.rest(service.ref) is True
    assert await service.rows(LETTERS) == [("wake_monitor", "checkout")]

    await service.send([3.0])
    await service.send([4.0])
    assert await service.rows(LETTERS) == [("wake_monitor", "checkout")] * 2


async def test_a_monitor_cannot_fall_asleep_over_a_batch_that_is_being_stored(service):
    """Whoever stores first holds it awake until the batch is there to be read."""
    await service.send([1.0])
    await service.monitors.look(service.ref)
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with service.database.together(service.tenant.org):
            await service.send([2.0])
            began.set()
            await may_end.wait()

    writing = asyncio.create_task(slow())
    await began.wait()
    resting = asyncio.create_task(service.monitors.rest(service.ref))
    await asyncio.sleep(0.2)
    assert not resting.done()
    may_end.set()
    await writing
    assert await resting is False


async def test_a_batch_that_is_held_up_holds_up_no_other_of_its_org(service):
    """What all of an org's batches share, its quota and its ledger, is taken last: this one waits before it."""
    await service.send([1.0])
    held, may_go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with service.database.transaction(service.tenant.org) as session:
            await monitors.held(session, service.ref)
            held.set()
            await may_go_on.wait()

    holding = asyncio.create_task(hold())
    await held.wait()
    waiting = asyncio.create_task(service.send([2.0]))
    await asyncio.sleep(0.2)
    other = dataclasses.replace(service, ref=service.ref.model_copy(update={"service": "search"}))
    async with asyncio.timeout(5):
        await other.send([3.0])
    assert not waiting.done()
    may_go_on.set()
    await asyncio.gather(holding, waiting)


async def test_what_names_no_service_or_an_unknown_environment_is_not_watched(service):
    """It is stored, and nobody is woken."""
    for environment, name in (("prod", None), (None, "checkout"), ("nowhere", "checkout")):
        signal = Signal(source="test", kind=SignalKind.LOG, ts="2026-01-01T00:00:00Z", environment=environment, service=name)
        await service.intake.ingest(service.tenant.admin, [signal])

    assert await service.rows(LETTERS) == []
    assert await service.rows(text("select count(*) from signals")) == [(3,)]
