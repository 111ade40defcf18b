"""People see what was seen of their services, and say what each detector may do with it."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.refs import MonitorRef
from services.ledger import Ledger
from services.monitors import Monitors
from tests.api.site import EVERY, Person, Site
from tests.database import Tenant

USUAL = [10.0, 10.4, 9.7, 10.1, 9.9, 10.3, 9.8, 10.2] * 8
SECRET = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture
def monitors(site: Site, ledger: Ledger) -> Monitors:
    return Monitors(site.database, ledger, site.services.incidents)


async def told(person: Person, monitors: Monitors, *signals: dict[str, object], service: str = "checkout") -> None:
    """Send these of a service, and have its monitor look."""
    named = [each | {"service": service, "environment": "prod"} for each in signals]
    assert (await person.post("/signals/ingest", named)).status_code == 200
    await monitors.look(MonitorRef(org=person.caller.org, environment="prod", service=service))


def points(*values: float) -> list[dict[str, object]]:
    began = datetime.now(UTC) - timedelta(minutes=len(values))
    return [
        {"kind": "metric", "key": "latency", "value": value, "ts": (began + timedelta(minutes=number)).isoformat()}
        for number, value in enumerate(values, start=1)
    ]


def lines(*texts: str, severity: str = "info") -> list[dict[str, object]]:
    return [{"kind": "log", "text": text, "severity": severity} for text in texts]


async def test_an_anomaly_is_shown_with_what_speaks_for_it(someone: Person, monitors: Monitors) -> None:
    """Its reasons, the evidence, the mode of its detector, and its incident once there is one."""
    await told(someone, monitors, *points(*USUAL, 90, 91))

    [found] = (await someone.get("/anomalies")).json()["items"]

    assert (found["detector"], found["subject"], found["status"], found["mode"]) == ("outlier", "latency", "suspected", "alert")
    assert found["reasons"][0].startswith("latency: 9")
    assert (found["evidence"], found["incident_id"], found["ended_at"]) == ({"value": 91.0}, None, None)


async def test_filters_narrow_what_is_shown(someone: Person, monitors: Monitors) -> None:
    """By service, environment, detector and whether it is open."""
    for service in ("checkout", "shop"):
        await told(someone, monitors, *points(*USUAL, 90), service=service)
    await told(someone, monitors, *lines(*["refused"] * 40, severity="error"), service="shop")

    async def seen(**wanted: str) -> list[tuple[str, str]]:
        items = (await someone.get("/anomalies", params=wanted)).json()["items"]
        return [(each["service"], each["detector"]) for each in items]

    shop = [("shop", "signature"), ("shop", "burst"), ("shop", "outlier")]
    assert await seen() == [*shop, ("checkout", "outlier")]
    assert await seen(service="shop") == shop
    assert await seen(detector="outlier", state="open") == [("shop", "outlier"), ("checkout", "outlier")]
    assert await seen(state="closed") == await seen(environment="dev") == []


async def test_pages_of_anomalies_end(someone: Person, monitors: Monitors) -> None:
    """A cursor leads to each once, and counts for its own list alone; no page holds more than 200."""
    for number in range(5):
        await told(someone, monitors, *points(*USUAL, 90), service=f"s{number}")
    first = (await someone.get("/anomalies", params={"limit": 3})).json()
    rest = (await someone.get("/anomalies", params={"limit": 3, "cursor": first["next"]})).json()

    assert [each["service"] for each in first["items"] + rest["items"]] == ["s4", "s3", "s2", "s1", "s0"]
    assert rest["next"] is None
    assert (await someone.get("/anomalies", params={"cursor": first["next"], "service": "s1"})).status_code == 422
    assert (await someone.get("/anomalies", params={"limit": 201})).status_code == 422


async def test_what_lines_say_is_shown_without_secrets(someone: Person, monitors: Monitors) -> None:
    """How often, since when, how surprising, and one of them as it was stored."""
    await told(someone, monitors, *lines(*(f"request {number} served" for number in range(98))))
    await told(someone, monitors, *lines(f"key {SECRET} refused", "disk sda is full"))
    asked = {"service": "checkout", "environment": "prod"}

    first = (await someone.get("/log-templates", params=asked | {"limit": 2})).json()
    rest = (await someone.get("/log-templates", params=asked | {"limit": 2, "cursor": first["next"]})).json()
    disk, key, served = first["items"] + rest["items"]

    assert (disk["template"], disk["count"], served["template"], served["count"]) == (
        "disk sda is full",
        1,
        "request <*> served",
        98,
    )
    assert disk["novelty"] == key["novelty"] == pytest.approx(0.98)
    assert served["novelty"] == pytest.approx(0.01)
    assert SECRET not in key["exemplar"]
    assert key["exemplar"].startswith("key ")
    assert disk["first_seen_at"] == disk["last_seen_at"]
    assert disk["rate"] == 0


async def test_another_org_sees_nothing(someone: Person, monitors: Monitors, theirs: object) -> None:
    """Neither what was seen nor what its lines say, by the same names."""
    await told(someone, monitors, *points(*USUAL, 90), *lines("disk sda is full"))
    stranger: Person = theirs.by  # type: ignore[attr-defined]

    assert (await stranger.get("/anomalies", params={"service": "checkout"})).json()["items"] == []
    path = "/log-templates?service=checkout&environment=prod"
    assert (await stranger.get(path)).json()["items"] == []
    assert len((await someone.get(path)).json()["items"]) == 1


async def test_a_template_is_asked_for_by_its_service(someone: Person) -> None:
    """Both names are needed."""
    assert (await someone.get("/log-templates", params={"service": "checkout"})).status_code == 422
    assert (await someone.get("/log-templates", params={"service": "", "environment": "prod"})).status_code == 422


async def test_a_person_chooses_what_a_detector_may_do(site: Site, tenant: Tenant, monitors: Monitors) -> None:
    """It counts from the next anomaly on, is in the ledger, and is nobody else's."""
    person = await site.person(tenant, *EVERY)
    before = {each["detector"]: each for each in (await person.get("/detectors")).json()["items"]}
    chosen = await person.put("/detectors/outlier", {"mode": "shadow"})
    await told(person, monitors, *points(*USUAL, 90, 91))
    [entry] = (await person.get("/audit-logs", params={"resource_type": "detector"})).json()["items"]

    assert (before["outlier"]["mode"], before["outlier"]["by_person"]) == ("alert", False)
    assert (chosen.json()["mode"], chosen.json()["by_person"]) == ("shadow", True)
    assert [each["mode"] for each in (await person.get("/anomalies")).json()["items"]] == ["shadow"]
    assert (entry["action"], entry["resource_id"]) == ("detector.mode_changed", "outlier")
    assert (entry["before_json"], entry["after_json"]) == ({"mode": "alert"}, {"mode": "shadow"})


async def test_a_mode_is_the_orgs_own(someone: Person, theirs: object) -> None:
    """What another org chooses changes nothing here."""
    stranger: Person = theirs.by  # type: ignore[attr-defined]
    await someone.put("/detectors/burst", {"mode": "page"})

    modes = {each["detector"]: each["mode"] for each in (await stranger.get("/detectors")).json()["items"]}

    assert modes["burst"] == "alert"


async def test_a_detector_that_nobody_has_is_unknown(someone: Person) -> None:
    """Its name is no detector's; and a mode is one of three."""
    assert (await someone.put("/detectors/oracle", {"mode": "alert"})).status_code == 404
    assert (await someone.put("/detectors/burst", {"mode": "loud"})).status_code == 422


async def test_f25_an_event_of_another_time_is_stored_and_flagged(someone: Person) -> None:
    """Three days late and two hours in the future are kept as they are told, and shown for what they are."""
    told = {"late": timedelta(days=-3), "early": timedelta(hours=2), "present": timedelta(minutes=-5)}
    for timing, ago in told.items():
        at = (datetime.now(UTC) + ago).isoformat()
        event = {"event_type": timing, "service": "checkout", "environment": "prod", "severity": "error", "occurred_at": at}
        assert (await someone.post("/events", event)).status_code == 201

    shown = (await someone.get("/events")).json()["items"]

    assert {each["event_type"]: each["timing"] for each in shown} == {timing: timing for timing in told}
    assert (await someone.get("/incidents")).json()["items"] == []


async def test_templates_that_say_nearly_the_same_are_shown_as_one(someone: Person, monitors: Monitors) -> None:
    """The most frequent leads its group, whose figures are those of all; another org has none."""
    await told(someone, monitors, *lines(*["the connection to the database was closed by the server"] * 5))
    await told(someone, monitors, *lines("the connection to the database was reset by the server", "disk sda is full"))
    path = "/log-templates/variants?service=checkout&environment=prod"

    closed, disk = (await someone.get(path)).json()["items"]

    assert (closed["template"], closed["count"], len(closed["members"])) == (
        "the connection to the database was closed by the server",
        6,
        2,
    )
    assert (disk["count"], disk["members"]) == (1, [disk["number"]])
    assert len((await someone.get(f"{path}&limit=1")).json()["items"]) == 1


async def test_a_person_closes_an_incident_as_a_false_alarm(someone: Person) -> None:
    """It says so ever after, and the ledger who said it; one that was none is closed without a word."""
    opened = [(await someone.post("/incidents/open", {"title": title, "service": "shop"})).json()["id"] for title in ("a", "b")]
    false = (await someone.patch(f"/incidents/{opened[0]}", {"status": "resolved", "false_alarm": True})).json()
    mended = (await someone.patch(f"/incidents/{opened[1]}", {"status": "resolved"})).json()
    story = (await someone.get(f"/incidents/{opened[0]}/timeline")).json()["items"]

    assert (false["status"], false["meta"]) == ("resolved", {"false_alarm": True})
    assert (mended["status"], mended["meta"]) == ("resolved", {})
    assert (story[-1]["action"], story[-1]["after_json"]) == ("incident.resolved", {"false_alarm": True})
    assert story[-1]["actor_id"] == someone.caller.id.shown
