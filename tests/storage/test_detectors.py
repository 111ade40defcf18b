"""What a detector may do is the org's choice or its record's: right alarms let it speak, false ones silence it."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from domain.actor import SYSTEM
from domain.anomaly import Anomaly, AnomalyStatus, Observation
from domain.base import AnomalyId
from domain.detecting import ENOUGH, DetectorMode, Tally
from domain.incident import CALM, FALSE_ALARM, Severity, Status
from services.detectors import reconsider
from storage import anomalies, detectors, incidents
from storage.engine import new_id, new_ids, now
from tests.storage.watched import USUAL

HOUR = timedelta(hours=1)


async def choose(service, detector, mode, *, by_person=True):
    async with service.database.transaction(service.tenant.org) as session:
        return await detectors.choose(session, service.tenant.org, detector, mode, by_person=by_person)


async def alarms(service, detector, many, *, ago=timedelta(0), status=AnomalyStatus.OVER):
    """Anomalies of a minute each, that were confirmed so long ago."""
    async with service.database.transaction(service.tenant.org) as session:
        at = await now(session) - ago
        known = []
        for number, fresh in enumerate(await new_ids(session, many)):
            seen = Observation(detector=detector, subject=f"m{number}", at=at, score=0.9, is_odd=True)
            over = {"status": status, "ended_at": at + timedelta(minutes=1) if status is AnomalyStatus.OVER else None}
            known.append(Anomaly.of(AnomalyId.of(fresh), seen).model_copy(update=over))
        await anomalies.put(session, service.ref, known)


async def an_incident(service, *, ended=True, **meta):
    """One of now, of the same service, that somebody else opened."""
    async with service.database.transaction(service.tenant.org) as session:
        incident, _ = await incidents.open_or_join(
            session,
            service.tenant.org,
            signature=str(await new_id(session)),
            title="down",
            service=service.ref.service,
            environment=service.ref.environment,
            severity=Severity.SEV2,
            workflow=None,
            carrier="inc/x",
        )
        if ended:
            await incidents.move(session, incident, Status.RESOLVED, ended=True, meta=meta)


async def tally(service, detector="outlier"):
    async with service.database.transaction(service.tenant.org) as session:
        return await detectors.tally(session, detector)


async def test_what_is_found_in_the_shadow_is_stored_and_opens_nothing(service):
    """It is suspected, confirmed and over like any other."""
    await choose(service, "outlier", DetectorMode.SHADOW)
    await service.send(USUAL)
    await service.monitors.look(service.ref)
    await service.tell(90, 91)
    opened = await service.monitors.judge(service.ref)
    [confirmed] = await service.known()
    await service.tell(*USUAL[:5])
    await service.monitors.judge(service.ref)
    [ended] = await service.known()

    assert (opened, await service.incidents()) == (None, [])
    assert (confirmed.mode, confirmed.status, confirmed.incident_id) == (DetectorMode.SHADOW, AnomalyStatus.CONFIRMED, None)
    assert ended.status is AnomalyStatus.OVER


async def test_what_pages_opens_the_most_severe_incident(service):
    """Others open one of their environment's severity."""
    await choose(service, "outlier", DetectorMode.PAGE)
    await service.send(USUAL)
    await service.monitors.look(service.ref)
    await service.tell(90, 91)
    await service.monitors.judge(service.ref)

    assert [each.severity for each in await service.incidents()] == [Severity.SEV1]


async def test_a_mode_counts_from_the_next_anomaly_on(service):
    """One that is open stays in the mode that it was found in."""
    await service.send(USUAL)
    await service.monitors.look(service.ref)
    await service.tell(90)
    await choose(service, "outlier", DetectorMode.SHADOW)
    await service.tell(91)
    await service.monitors.judge(service.ref)

    assert len(await service.incidents()) == 1


@pytest.mark.parametrize(
    ("incident", "expected"),
    [
        (None, Tally(false=3)),
        ({}, Tally(right=3)),
        ({CALM: True}, Tally(false=3)),
        ({FALSE_ALARM: True}, Tally(false=3)),
        ({"ended": False}, Tally(undecided=3)),
    ],
)
async def test_an_alarm_was_right_when_an_incident_of_its_time_came_to_something(service, incident, expected):
    """Whoever opened it; one that was calm by itself or was called false does not count, an open one not yet."""
    await alarms(service, "outlier", 3)
    if incident is not None:
        await an_incident(service, **incident)

    assert await tally(service) == expected
    assert await tally(service, "burst") == Tally()


async def test_an_incident_of_another_time_or_service_says_nothing(service):
    """Two hours later, or elsewhere."""
    await alarms(service, "outlier", 2, ago=2 * HOUR)
    await an_incident(service)
    elsewhere = service.ref.model_copy(update={"service": "shop"})
    here, service.ref = service.ref, elsewhere
    await alarms(service, "outlier", 2)
    service.ref = here

    assert await tally(service) == Tally(false=4)


async def test_an_alarm_that_goes_on_is_undecided(service):
    """Until it is over, or its incident is."""
    await alarms(service, "outlier", 2, status=AnomalyStatus.CONFIRMED)
    before = await tally(service)
    await an_incident(service)

    assert (before, await tally(service)) == (Tally(undecided=2), Tally(right=2))


async def test_only_the_latest_alarms_count(service):
    """Older ones are no part of the record."""
    await alarms(service, "outlier", detectors.LATEST, ago=2 * HOUR)
    await alarms(service, "outlier", ENOUGH)
    await an_incident(service)

    assert await tally(service) == Tally(right=ENOUGH, false=detectors.LATEST - ENOUGH)


async def modes(service, ledger, *names):
    """The modes of these detectors once they have been thought over."""
    async with service.database.transaction(service.tenant.org) as session:
        await reconsider(session, ledger, service.tenant.org, names, actor=SYSTEM)
        chosen = await detectors.chosen(session)
    return [chosen[name].mode if name in chosen else None for name in names]


async def test_a_detector_earns_its_way_out_of_the_shadow(service, ledger):
    """Twenty right alarms let it open incidents, and never wake anybody; nineteen do not."""
    await alarms(service, "change", ENOUGH - 1)
    await an_incident(service)
    before = await modes(service, ledger, "change")
    await alarms(service, "change", 1)

    assert before == [None]
    assert await modes(service, ledger, "change") == [DetectorMode.ALERT]
    await alarms(service, "change", 100)
    await an_incident(service)
    assert await modes(service, ledger, "change") == [DetectorMode.ALERT]


async def test_a_detector_that_was_mostly_wrong_goes_back_into_the_shadow(service, ledger):
    """What a record let speak a record silences; those that spoke of old are left to persons."""
    await choose(service, "change", DetectorMode.ALERT, by_person=False)
    for name in ("change", "outlier"):
        await alarms(service, name, ENOUGH)

    assert await modes(service, ledger, "change", "outlier") == [DetectorMode.SHADOW, None]


async def test_a_persons_choice_outlasts_every_record(service, ledger):
    """In both directions."""
    await choose(service, "change", DetectorMode.SHADOW)
    await choose(service, "novelty", DetectorMode.PAGE)
    await alarms(service, "novelty", ENOUGH, ago=2 * HOUR)
    await alarms(service, "change", ENOUGH)
    await an_incident(service)

    assert await modes(service, ledger, "change", "novelty") == [DetectorMode.SHADOW, DetectorMode.PAGE]
    assert await choose(service, "change", DetectorMode.ALERT, by_person=False) is False
    assert await modes(service, ledger, "change") == [DetectorMode.SHADOW]
    assert await choose(service, "change", DetectorMode.ALERT) is True


async def test_the_end_of_an_anomaly_has_its_detector_thought_over(service):
    """Whoever judges the last of enough false alarms silences the detector, and the ledger tells."""
    await choose(service, "freshness", DetectorMode.ALERT, by_person=False)
    await alarms(service, "freshness", ENOUGH, ago=2 * HOUR)
    await service.tell(*USUAL[:10])
    await service.shift(service.tenant.org, timedelta(minutes=5))
    await service.monitors.look(service.ref)
    await service.shift(service.tenant.org, timedelta(seconds=2))
    await service.monitors.judge(service.ref)
    await service.tell(*USUAL[:6])
    await service.monitors.judge(service.ref)

    told = text("select resource_id, actor_id from audit_logs where action = 'detector.mode_changed'")
    assert await service.rows(told) == [("freshness", "monitor")]
    async with service.database.transaction(service.tenant.org) as session:
        assert (await detectors.chosen(session))["freshness"].mode is DetectorMode.SHADOW
