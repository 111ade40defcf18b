"""What is thought of a connector's incidents, on the real database: whose it is, how new, and when it is written."""

from datetime import timedelta
from uuid import uuid4

import pytest

from domain.anomaly import ALERT, Anomaly, Observation
from domain.base import AnomalyId, ConnectorId, EvidenceId, HypothesisId, IncidentId
from domain.errors import UnavailableError
from domain.evidence import Cause, Diagnosis, Evidence, EvidenceKind, Hypothesis
from domain.incident import Severity, Status
from domain.opinion import Opinion, Unwritten
from domain.refs import FeedRef, MonitorRef
from services import opinions
from services.opinions import Opinions
from storage import anomalies, diagnoses, incidents
from storage import opinions as store
from storage.engine import Database, new_id, new_ids, now, open_engine
from tests.database import Tenant


class Alerts:
    """Those of one connector in one org, and what is thought of their incidents."""

    def __init__(self, database: Database, tenant: Tenant) -> None:
        self.database = database
        self.ref = FeedRef(org=tenant.org, connector=ConnectorId(int=uuid4().int))

    async def fire(self, key: str, *, detector: str = ALERT, connector: ConnectorId | None = None, anomaly=None):
        """An incident of its own each time, and the anomaly that belongs to it."""
        service = MonitorRef(org=self.ref.org, environment="prod", service="jobs")
        async with self.database.transaction(self.ref.org) as session:
            incident, _ = await incidents.open_or_join(
                session,
                self.ref.org,
                signature=uuid4().hex,
                title=f"{key} is failed",
                service="jobs",
                environment="prod",
                severity=Severity.SEV2,
                workflow=None,
                carrier="inc/of/a/test",
            )
            if anomaly is None:
                subject = f"{connector or self.ref.connector}/{key}"
                seen = Observation(
                    detector=detector, subject=subject, at=await now(session), score=1, is_odd=True, reasons=(key,)
                )
                anomaly = Anomaly.of(AnomalyId.of(await new_id(session)), seen)
            anomaly = anomaly.model_copy(update={"incident_id": incident.id})
            await anomalies.put(session, service, [anomaly])
        return incident, anomaly

    async def move(self, incident, status: Status, *, ended: bool = False):
        async with self.database.transaction(self.ref.org) as session:
            await incidents.move(session, incident, status, ended=ended)

    async def diagnose(self, incident, *statements: str):
        """The first is the likeliest."""
        async with self.database.transaction(self.ref.org) as session:
            diagnosis, evidence, *fresh = await new_ids(session, 2 + len(statements))
            piece = Evidence(id=EvidenceId.of(evidence), kind=EvidenceKind.LOG, ref={}, excerpt="", score=1)
            found = tuple(
                Hypothesis(
                    id=HypothesisId.of(each),
                    cause=Cause.TIMEOUT,
                    statement=said,
                    confidence=0.9 - 0.1 * rank,
                    support=(piece.id,),
                )
                for rank, (each, said) in enumerate(zip(fresh, statements, strict=True))
            )
            whole = Diagnosis(hypotheses=found, evidence=(piece,), at=await now(session))
            await diagnoses.add(session, self.ref.org, incident.id, diagnosis, whole)

    async def thought(self, *, known=(), after=None, limit=10):
        async with self.database.transaction(self.ref.org) as session:
            return await store.of_connector(session, self.ref.connector, known=known, after=after, limit=limit)


class Told:
    """A followed database that takes what it is told, or says why it does not."""

    def __init__(self) -> None:
        self.flaw: Unwritten | None = None
        self.rows: dict[IncidentId, Opinion] = {}
        self.asked = 0
        self.notes: list[str] = []

    async def write(self, table, rows):
        self.asked += 1
        if self.flaw is None or self.flaw.incidents:
            refused = self.flaw.incidents if self.flaw else ()
            self.rows |= {each.incident: each for each in rows if each.incident not in refused}
        return self.flaw

    async def note(self, reason):
        self.notes.append(reason)


@pytest.fixture
def alerts(database, tenant):
    return Alerts(database, tenant)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def writer(alerts, told):
    return Opinions(alerts.database, alerts.ref, "verdicts", told, told.note)


async def test_only_the_incidents_of_its_alerts_are_a_connectors(alerts, found_org):
    """Neither another connector's, nor another detector's, nor another org's, though it names the same connector."""
    incident, _ = await alerts.fire("public.jobs/7")
    await alerts.fire("public.jobs/7", connector=ConnectorId(int=1))
    await alerts.fire("public.jobs/7", detector="level")
    others = Alerts(alerts.database, await found_org())
    others.ref = others.ref.model_copy(update={"connector": alerts.ref.connector})
    theirs, _ = await others.fire("public.jobs/7")

    [found] = await alerts.thought(known=[theirs.id])
    assert (found.incident, found.subject, found.title) == (incident.id, "public.jobs/7", "public.jobs/7 is failed")


async def test_the_likeliest_cause_of_the_newest_diagnosis_counts(alerts):
    """Not one that was likelier before."""
    incident, _ = await alerts.fire("7")
    await alerts.diagnose(incident, "the disk is full", "the disk is slow")
    await alerts.diagnose(incident, "somebody filled the disk", "the disk is full")
    [found] = await alerts.thought()
    assert (found.cause, found.confidence) == ("somebody filled the disk", 0.9)


async def test_what_ended_a_week_ago_is_left_as_it_is(alerts, shift):
    """What is open is kept for as long as it is."""
    over, _ = await alerts.fire("7")
    still, _ = await alerts.fire("8")
    await alerts.move(over, Status.RESOLVED, ended=True)
    before = await alerts.thought()
    await shift(alerts.ref.org, store.RECENT + timedelta(hours=1))
    assert [each.incident for each in before] == [still.id, over.id]
    assert [each.incident for each in await alerts.thought(known=[over.id])] == [still.id]


async def test_what_has_changed_is_written_every_two_seconds(alerts, told, writer):
    """What has not is not offered again."""
    incident, _ = await alerts.fire("7")
    await writer.write(at=0)
    await writer.write(at=2)
    once = told.asked
    await alerts.move(incident, Status.DIAGNOSING)
    await writer.write(at=3.9)
    early = told.rows[incident.id].status
    await writer.write(at=4)
    assert (once, told.asked) == (1, 2)
    assert (early, told.rows[incident.id].status) == (Status.OPEN, Status.DIAGNOSING)


async def test_a_table_that_cannot_be_written_to_is_noted_once_and_tried_every_minute(alerts, told, writer):
    """Whatever came meanwhile is written then; another reason is another note, and so is the same after it was well."""
    told.flaw = Unwritten(reason="no table")
    for second in (0, 2, 59.9, 60, 119.9, 120):
        await writer.write(at=second)
    incident, _ = await alerts.fire("7")
    noted, asked = list(told.notes), told.asked
    told.flaw = None
    await writer.write(at=180)
    written = set(told.rows)
    await alerts.move(incident, Status.DIAGNOSING)
    told.flaw = Unwritten(reason="no table")
    await writer.write(at=182)
    assert (noted, asked) == (["verdicts are not written: no table"], 3)
    assert written == {incident.id}
    assert told.notes == [*noted, *noted]


async def test_an_incident_whose_row_is_refused_holds_up_no_other(alerts, told, writer):
    """It is noted, and offered again when there is something new of it."""
    refused, _ = await alerts.fire("7")
    told.flaw = Unwritten(reason="refused", incidents=frozenset({refused.id}))
    await writer.write(at=0)
    other, _ = await alerts.fire("8")
    told.flaw = None
    await writer.write(at=2)
    early = set(told.rows)
    await alerts.move(refused, Status.DIAGNOSING)
    await writer.write(at=4)
    assert told.notes == ["verdicts are not written: refused"]
    assert (early, set(told.rows)) == ({other.id}, {other.id, refused.id})


async def test_more_incidents_than_go_at_once_take_turns(alerts, told, writer, monkeypatch):
    """And of too many the newest are kept as they are."""
    monkeypatch.setattr(opinions, "AT_ONCE", 2)
    monkeypatch.setattr(opinions, "MOST", 4)
    fired = [(await alerts.fire(str(number)))[0] for number in range(6)]
    newest = {each.id for each in fired[2:]}
    await writer.write(at=0)
    first = set(told.rows)
    await writer.write(at=2)
    await alerts.move(fired[2], Status.DIAGNOSING)
    await alerts.move(fired[5], Status.DIAGNOSING)
    await writer.write(at=4)
    await writer.write(at=6)
    assert first == {each.id for each in fired[4:]}
    assert set(told.rows) == newest
    assert {each for each, row in told.rows.items() if row.status is Status.DIAGNOSING} == {fired[2].id, fired[5].id}


async def test_an_incident_that_its_alert_has_left_is_followed_to_its_end(alerts, told, writer):
    """An alert that fires again after that is about another incident."""
    first, anomaly = await alerts.fire("7")
    await writer.write(at=0)
    await alerts.move(first, Status.RESOLVED, ended=True)
    second, _ = await alerts.fire("7", anomaly=anomaly)
    await writer.write(at=2)
    assert {each.incident: (each.subject, each.status) for each in told.rows.values()} == {
        first.id: ("7", Status.RESOLVED),
        second.id: ("7", Status.OPEN),
    }


async def test_who_writes_does_not_end_as_a_database_is_away(alerts, told, writer):
    """Theirs, or ours: what is to be written is written later."""
    incident, _ = await alerts.fire("7")
    engine = open_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    away = Opinions(Database(engine), alerts.ref, "verdicts", told, told.note)
    await away.write(at=0)
    await engine.dispose()

    async def lost(table, rows):
        raise UnavailableError("the connection to the database is lost")

    well, told.write = told.write, lost
    await writer.write(at=0)
    told.write = well
    await writer.write(at=2)
    assert set(told.rows) == {incident.id}
    assert told.notes == []
