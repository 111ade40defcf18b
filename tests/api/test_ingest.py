"""What senders outside post: known by their connector's secret, stored item by item, answered in their own way."""

import gzip
import json
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.base import ConnectorId
from domain.identity import Quota
from domain.refs import MonitorRef
from services.ledger import Ledger
from services.monitors import Monitors
from storage.engine import Database
from tests.api.site import Person, Site
from tests.database import FoundOrg, Tenant

STORED = text("select event_type, key, service, environment, idempotency_key from signals where org_id = :org order by id")
TOLD = text("select count(*) from outbox where org_id = :org and kind = 'wake_incident'")
ALERTS = text("select status, flaps from anomalies where org_id = :org")
CONFIG = {"environment": "prod", "service": "shop", "opens_incidents": True}


def alert(
    name: str = "HighErrors", status: str = "firing", start: str = "2026-11-01T10:00:00Z", **labels: str
) -> dict[str, Any]:
    ends = "0001-01-01T00:00:00Z" if status == "firing" else "2026-11-01T10:30:00Z"
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "critical"} | labels,
        "annotations": {"summary": f"{name} on the shop"},
        "startsAt": start,
        "endsAt": ends,
        "generatorURL": "http://prometheus/graph",
        "fingerprint": f"{abs(hash((name, *sorted(labels.items())))):016x}"[:16],
    }


def notification(*alerts: dict[str, Any]) -> bytes:
    return json.dumps(
        {"version": "4", "groupKey": '{}:{alertname="x"}', "status": "firing", "receiver": "suture", "alerts": list(alerts)}
    ).encode()


class Sender:
    """A sender as its connector knows it."""

    def __init__(self, site: Site, made: dict[str, Any], *, kind: str = "alertmanager") -> None:
        self.site, self.id, self.secret = site, made["connector"]["id"], made["secret"]
        self.path = f"/api/v1/ingest/{kind}/{made['connector']['endpoint']}"

    async def post(self, body: bytes, *, secret: str | None = None, **headers: str):
        sent = {"Authorization": f"Bearer {secret or self.secret}", "Content-Type": "application/json"}
        return await self.site.client.post(self.path, content=body, headers=sent | headers)


async def a_sender(site: Site, someone: Person, **config: Any) -> Sender:
    body = {"kind": "alertmanager", "name": "alerts", "config": CONFIG | config}
    return Sender(site, (await someone.post("/connectors", body)).json())


async def stored(superuser: AsyncEngine, tenant: Tenant) -> list[dict[str, Any]]:
    async with superuser.connect() as connection:
        return [dict(row._mapping) for row in await connection.execute(STORED, {"org": tenant.org})]


async def test_what_opened_an_incident_leads_to_its_signal(site: Site, someone: Person) -> None:
    """The timeline names it, and it is there as it came."""
    await (await a_sender(site, someone)).post(notification(alert()))

    (incident,) = (await someone.get("/incidents")).json()["items"]
    opened = (await someone.get(f"/incidents/{incident['id']}/timeline")).json()["items"][0]
    event = (await someone.get(f"/events/{opened['after_json']['signal']}")).json()
    assert (opened["action"], event["event_type"], event["severity"]) == ("incident.opened", "alert.firing", "critical")


async def test_a_sender_that_does_not_know_the_secret_is_in_the_log(site: Site, someone: Person) -> None:
    """Once, however often it tries, until another delivery comes: nobody fills the log from outside."""
    sender = await a_sender(site, someone)
    for _ in range(3):
        assert (await sender.post(notification(alert()), secret="sk_" + 32 * "x")).status_code == 401
    await sender.post(notification(alert()))
    assert (await sender.post(notification(alert()), secret="sk_" + 32 * "x")).status_code == 401

    log = (await someone.get(f"/connectors/{sender.id}/deliveries")).json()["items"]
    assert [each["status"] for each in log] == ["refused", "taken", "refused"]
    assert log[0]["reason"] == "the sender does not prove that it knows the connector's secret"


async def test_a_delivery_without_anything_in_it_says_so(site: Site, someone: Person) -> None:
    """It is taken all the same: a sender that tests its connection has nothing to tell."""
    sender = await a_sender(site, someone)

    assert (await sender.post(notification())).status_code == 202
    (entry,) = (await someone.get(f"/connectors/{sender.id}/deliveries")).json()["items"]
    assert (entry["status"], entry["stored"], entry["reason"]) == ("taken", 0, "nothing was found in it")


async def test_an_alert_opens_an_incident(site: Site, someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """What fires is stored and opens one incident, which its next delivery does not count again."""
    sender = await a_sender(site, someone)

    first, again = await sender.post(notification(alert())), await sender.post(notification(alert()))

    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json()["stored"], again.json()["duplicates"]) == (1, 1)
    (row,) = await stored(superuser, tenant)
    assert (row["event_type"].endswith(".firing"), row["service"], row["environment"]) == (True, "shop", "prod")
    (incident,) = (await someone.get("/incidents")).json()["items"]
    assert (incident["event_count"], incident["service"], incident["environment"]) == (1, "shop", "prod")
    assert "HighErrors" in incident["title"]


async def test_an_incident_shows_no_secret_of_its_alert(site: Site, someone: Person) -> None:
    """What is redacted in the signal is redacted in the incident's title and in its entries, too."""
    sender = await a_sender(site, someone)
    leaking = alert() | {"annotations": {"summary": "login with password=hunter2secret failed"}}

    await sender.post(notification(leaking))

    (incident,) = (await someone.get("/incidents")).json()["items"]
    entries = await someone.get(f"/audit-logs?resource_id={incident['id']}")
    assert "login with password=" in incident["title"]
    assert "hunter2secret" not in incident["title"] + entries.text


async def test_a_long_key_is_still_its_connectors(site: Site, someone: Person) -> None:
    """By its subject an alert is found again by whose it is and what it is about."""
    sender = await a_sender(site, someone)

    await sender.post(notification(alert() | {"fingerprint": "f" * 250}))

    (found,) = (await someone.get("/anomalies")).json()["items"]
    whose, _, what = found["subject"].partition("/")
    assert (ConnectorId.of(whose).shown, what) == (sender.id, "f" * 250)


def monitors(site: Site, ledger: Ledger, database: Database) -> Monitors:
    """What watches a service, without the engine."""
    return Monitors(database, ledger, site.services.incidents)


async def test_an_alert_that_was_over_for_a_while_ends_its_incident(site, someone, tenant, database, ledger, shift) -> None:
    """Not at once, for it may come back, but a minute after its sender has said so; nothing else it waits for."""
    sender, ref = await a_sender(site, someone), MonitorRef(org=tenant.org, environment="prod", service="shop")
    watching = monitors(site, ledger, database)
    await sender.post(notification(alert()))
    await sender.post(notification(alert(status="resolved")))

    assert not (await watching.look(ref)).is_ripe
    assert await watching.rest(ref) is False
    await shift(tenant.org, timedelta(minutes=1))
    await watching.look(ref)
    await watching.judge(ref)

    (incident,) = (await someone.get("/incidents")).json()["items"]
    entries = (await someone.get(f"/audit-logs?resource_id={incident['id']}")).json()["items"]
    assert incident["status"] == "resolved"
    assert [each["action"] for each in entries if each["action"] == "incident.resolved"] == ["incident.resolved"]


async def test_an_incident_of_two_alerts_ends_with_the_last(site, someone, tenant, database, ledger, shift) -> None:
    """Each alert has an incident of its own; what one of them says ends no other."""
    sender, ref = await a_sender(site, someone), MonitorRef(org=tenant.org, environment="prod", service="shop")
    watching = monitors(site, ledger, database)
    await sender.post(notification(alert(), alert(name="SlowAnswers")))
    await sender.post(notification(alert(status="resolved")))
    await shift(tenant.org, timedelta(minutes=1))
    await watching.judge(ref)

    found = {each["title"]: each["status"] for each in (await someone.get("/incidents")).json()["items"]}
    assert found == {"HighErrors on the shop": "resolved", "SlowAnswers on the shop": "open"}


async def test_f28_an_alert_that_flaps_is_one_incident(site, someone, tenant, database, ledger, shift, superuser) -> None:
    """A thousand changes in five minutes: one incident, whose story is begun four times at most, and a flapping anomaly."""
    sender, ref = await a_sender(site, someone), MonitorRef(org=tenant.org, environment="prod", service="shop")
    watching = monitors(site, ledger, database)
    for number in range(500):
        start = f"2026-11-01T10:{number // 60:02}:{number % 60:02}Z"
        for status in ("firing", "resolved"):
            assert (await sender.post(notification(alert(status=status, start=start)))).status_code == 202
        await shift(tenant.org, timedelta(milliseconds=600))
        if number % 50 == 0:
            await watching.judge(ref)

    found = (await someone.get("/incidents")).json()["items"]
    async with superuser.connect() as connection:
        told = await connection.scalar(TOLD, {"org": tenant.org})
        alerts = (await connection.execute(ALERTS, {"org": tenant.org})).all()
    assert len(found) == 1
    assert told <= 4
    assert [(status, flaps > 3) for status, flaps in alerts] == [("confirmed", True)]


async def test_alerts_without_that_word_open_nothing(site: Site, someone: Person) -> None:
    """A connector that does not open incidents stores its signals and no more."""
    sender = await a_sender(site, someone, opens_incidents=False)

    assert (await sender.post(notification(alert()))).status_code == 202
    assert (await someone.get("/incidents")).json()["items"] == []


async def test_one_alert_is_resolved_and_fires_anew(
    site: Site, someone: Person, tenant: Tenant, superuser: AsyncEngine
) -> None:
    """A resolve is another signal of the same key, and an alert that starts again later is no duplicate."""
    sender = await a_sender(site, someone)

    for each in (alert(), alert(status="resolved"), alert(start="2026-11-01T12:00:00Z")):
        await sender.post(notification(each))

    rows = await stored(superuser, tenant)
    assert [row["event_type"].rpartition(".")[2] for row in rows] == ["firing", "resolved", "firing"]
    assert len({row["key"] for row in rows}) == 1
    assert len({row["idempotency_key"] for row in rows}) == 3


async def test_a42_a_sender_must_know_the_secret(site: Site, someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """A wrong secret, none, or a person's token is 401, and nothing is stored."""
    sender = await a_sender(site, someone)

    wrong = await sender.post(notification(alert()), secret="whsec_wrong")
    none = await site.client.post(sender.path, content=notification(alert()))
    person = await sender.post(notification(alert()), secret=someone.token)

    assert [each.status_code for each in (wrong, none, person)] == [401, 401, 401]
    assert await stored(superuser, tenant) == []


async def test_a13_an_address_that_nobody_has_is_404(site: Site, someone: Person) -> None:
    """A broken address, another kind's, a removed one's: nobody can tell which."""
    sender = await a_sender(site, someone)
    body = notification(alert())
    other_kind = sender.path.replace("/alertmanager/", "/grafana/")
    unknown = sender.path[:-4] + "0000"

    answers = [await site.client.post(path, content=body) for path in (other_kind, unknown, "/api/v1/ingest/alertmanager/x")]
    answers.append(await site.client.post(sender.path.replace("/alertmanager/", "/pigeon/"), content=body))

    assert {(each.status_code, each.json()["detail"]) for each in answers} == {
        (404, "There is nothing here, or it is not yours to see.")
    }


async def test_a11_no_org_sends_into_another(site: Site, someone: Person, found_org: FoundOrg, tenant: Tenant) -> None:
    """The secret of one org's connector opens no other's address."""
    sender = await a_sender(site, someone)
    stranger = await site.person(await found_org(), *someone.caller.principal.roles)
    theirs = await a_sender(site, stranger)

    theirs.secret = sender.secret

    assert (await theirs.post(notification(alert()))).status_code == 401


async def test_a_rotated_secret_has_an_overlap(site: Site, someone: Person) -> None:
    """The new secret counts at once and the one before it for a while; the one before that no longer."""
    sender = await a_sender(site, someone)
    fresh = [(await someone.post(f"/connectors/{sender.id}/secret", {})).json()["secret"] for _ in range(2)]
    secrets = [sender.secret, *fresh]

    answers = [(await sender.post(notification(alert()), secret=each)).status_code for each in secrets]

    assert answers == [401, 202, 202]


async def test_a_paused_connector_takes_nothing(site: Site, someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """409 to whoever knows the secret, 401 to whoever does not."""
    sender = await a_sender(site, someone)
    await someone.patch(f"/connectors/{sender.id}", {"status": "paused"})

    assert (await sender.post(notification(alert()))).status_code == 409
    assert (await sender.post(notification(alert()), secret="whsec_wrong")).status_code == 401
    assert await stored(superuser, tenant) == []


async def test_every_delivery_is_in_the_log(site: Site, someone: Person) -> None:
    """What came of each request, the newest first, and never what it held."""
    sender = await a_sender(site, someone)
    for body in (notification(alert()), notification(alert(), alert("Other")), b"nonsense"):
        await sender.post(body)

    log = (await someone.get(f"/connectors/{sender.id}/deliveries")).json()["items"]

    assert [(each["status"], each["stored"], each["duplicates"]) for each in log] == [
        ("refused", 0, 0),
        ("taken", 1, 1),
        ("taken", 1, 0),
    ]
    assert log[0]["reason"]
    assert "nonsense" not in json.dumps(log)


async def test_a_sender_that_gives_up_on_429_hears_503(site: Site, someone: Person, tenant: Tenant) -> None:
    """Alertmanager repeats a notification after a 5xx alone, so a spent quota is told to it as one."""
    sender = await a_sender(site, someone)
    await site.services.switches.put_quota(tenant.admin, Quota(name="signals", per_minute=0))

    answer = await sender.post(notification(alert()))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_packed_delivery_is_taken(site: Site, someone: Person) -> None:
    """Senders that compress may."""
    sender = await a_sender(site, someone)

    answer = await sender.post(gzip.compress(notification(alert())), **{"Content-Encoding": "gzip"})

    assert answer.status_code == 202


async def test_an_exporter_of_opentelemetry_is_answered_in_its_form(
    site: Site, someone: Person, tenant: Tenant, superuser: AsyncEngine
) -> None:
    """The SDK's own exporter, pointed at the endpoint, delivers logs and spans; JSON is answered in JSON."""
    made = (await someone.post("/connectors", {"kind": "otlp", "name": "otel", "config": {"environment": "prod"}})).json()
    record = {"timeUnixNano": "1767225600000000000", "severityNumber": 17, "body": {"stringValue": "out of stock"}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    logs = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record, "nonsense"]}]}]}
    path = f"/api/v1/ingest/otlp/{made['connector']['endpoint']}/v1/logs"
    headers = {"Authorization": f"Bearer {made['secret']}"}

    answer = await site.client.post(path, json=logs, headers=headers)

    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"
    assert [row["service"] for row in await stored(superuser, tenant)] == ["shop"]


async def test_a_pagerduty_sender_is_answered_as_there(site: Site, someone: Person) -> None:
    """Whoever sends to PagerDuty hears what it is used to, and its bad event is its own fault."""
    body = {"kind": "pagerduty_events", "name": "pd", "config": {"environment": "prod"}}
    sender = Sender(site, (await someone.post("/connectors", body)).json(), kind="pagerduty_events")
    event = {
        "routing_key": sender.secret,
        "event_action": "trigger",
        "dedup_key": "shop/errors",
        "payload": {"summary": "too many errors", "source": "shop", "severity": "error"},
    }

    good = await sender.post(json.dumps(event).encode())
    bad = await sender.post(json.dumps(event | {"event_action": "sing"}).encode())

    assert (good.status_code, good.json()["dedup_key"]) == (202, "shop/errors")
    assert (bad.status_code, bad.json()["status"]) == (400, "invalid event")


async def a_pager(site: Site, someone: Person, **config: Any) -> tuple[Sender, str]:
    """A sender to PagerDuty, and the routing key it is given."""
    body = {"kind": "pagerduty_events", "name": "pd", "config": CONFIG | config}
    made = (await someone.post("/connectors", body)).json()
    return Sender(site, made, kind="pagerduty_events"), f"{made['connector']['endpoint']}_{made['secret']}"


async def test_a_sender_to_pagerduty_changes_nothing_but_the_address(site: Site, someone: Person) -> None:
    """The routing key names the endpoint and proves the secret; what fires opens an incident, what ends is seen."""
    _, key = await a_pager(site, someone)
    event: dict[str, Any] = {"routing_key": key, "event_action": "trigger", "dedup_key": "shop/errors"}
    event |= {"payload": {"summary": "too many errors", "source": "shop", "severity": "error"}}

    answer = await site.client.post("/api/v1/ingest/pagerduty/v2/enqueue", json=event)

    assert (answer.status_code, answer.json()["status"], answer.json()["dedup_key"]) == (202, "success", "shop/errors")
    (incident,) = (await someone.get("/incidents")).json()["items"]
    assert (incident["title"], incident["service"]) == ("too many errors", "shop")


async def test_a_change_event_is_a_deployment(site: Site, someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """PagerDuty has a path of its own for them."""
    _, key = await a_pager(site, someone)
    change = {"routing_key": key, "payload": {"summary": "release 1.4.0", "source": "ci"}}

    answer = await site.client.post("/api/v1/ingest/pagerduty/v2/change/enqueue", json=change)

    assert answer.status_code == 202
    assert [row["event_type"] for row in await stored(superuser, tenant)] == ["deploy.succeeded"]
    assert (await someone.get("/incidents")).json()["items"] == []


async def test_a_routing_key_that_opens_nothing_is_401(site: Site, someone: Person, found_org: FoundOrg) -> None:
    """None, no endpoint in it, a wrong secret, another connector's secret: nobody can tell which."""
    _, key = await a_pager(site, someone)
    _, other = await a_pager(site, await site.person(await found_org(), *someone.caller.principal.roles))
    keys = [
        None,
        7,
        "",
        "R0UT1NGKEY",
        key[:-1],
        key[:55],
        f"{key[:55]}_{other[56:]}",
        f"in_{'0' * 52}_{key[56:]}",
        f"in_{'z' * 52}_x",
    ]

    answers = [
        await site.client.post("/api/v1/ingest/pagerduty/v2/enqueue", json={"routing_key": each, "event_action": "trigger"})
        for each in keys
    ]
    answers.append(await site.client.post("/api/v1/ingest/pagerduty/v2/enqueue", content=b"\xff"))

    assert {(each.status_code, each.json()["type"]) for each in answers} == {(401, "/problems/unauthenticated")}


async def test_an_event_of_a_megabyte_is_not_read(site: Site, someone: Person) -> None:
    """The body is parsed before anybody has proved anything, so it is small."""
    _, key = await a_pager(site, someone)

    answer = await site.client.post("/api/v1/ingest/pagerduty/v2/enqueue", json={"routing_key": key, "x": "x" * 2**20})

    assert answer.status_code == 413


async def test_a_connector_sends_what_its_scopes_allow(
    site: Site, someone: Person, tenant: Tenant, superuser: AsyncEngine
) -> None:
    """Items of another kind are refused, and the log of deliveries says why."""
    body = {"kind": "cloudevents", "name": "ce", "scopes": ["deploy"], "config": {"environment": "prod"}}
    sender = Sender(site, (await someone.post("/connectors", body)).json(), kind="cloudevents")
    event = {"specversion": "1.0", "id": "1", "source": "/ci", "type": "dev.cdevents.service.deployed.0.1.1"}
    batch = json.dumps([event, event | {"id": "2", "type": "com.example.order.failed"}]).encode()

    answer = await sender.post(batch, **{"Content-Type": "application/cloudevents-batch+json"})

    assert (answer.json()["stored"], answer.json()["refused"]) == (1, 1)
    assert answer.json()["reason"] == "the connector may send nothing but deploy"
    assert [row["event_type"] for row in await stored(superuser, tenant)] == [event["type"]]


async def test_one_delivery_tells_of_two_hundred_incidents_at_most(site: Site, someone: Person) -> None:
    """The rest is refused and the sender told why; what it sends then is taken."""
    sender = await a_sender(site, someone)
    alerts = [alert(instance=f"i-{number}") | {"fingerprint": f"{number:016x}"} for number in range(203)]

    first, rest = await sender.post(notification(*alerts)), await sender.post(notification(*alerts[200:]))

    assert (first.json()["stored"], first.json()["refused"], rest.json()["stored"]) == (200, 3, 3)
    assert first.json()["reason"] == "one request may tell of at most 500 services and 200 incidents: send the rest in another"


async def test_one_delivery_names_five_hundred_services_at_most(site: Site, someone: Person) -> None:
    """Each is watched from then on, whether or not it opens incidents."""
    sender = await a_sender(site, someone, opens_incidents=False)

    answer = await sender.post(notification(*(alert(service=f"s-{number}") for number in range(502))))

    assert (answer.json()["stored"], answer.json()["refused"]) == (500, 2)


async def test_f29_a_webhook_that_leaves_alerts_out_is_marked(site: Site, someone: Person) -> None:
    """The log of deliveries, the signal and the incident say how many are missing."""
    sender = await a_sender(site, someone)
    body = json.loads(notification(alert())) | {"truncatedAlerts": 3}

    for each in (notification(alert()), json.dumps(body | {"alerts": [alert("Other"), alert()]}).encode()):
        assert (await sender.post(each)).status_code == 202

    partly, whole = (await someone.get(f"/connectors/{sender.id}/deliveries")).json()["items"]
    assert (whole["status"], whole["reason"]) == ("taken", None)
    assert (partly["status"], partly["stored"], partly["duplicates"]) == ("partly", 1, 1)
    assert partly["reason"] == "the sender left out 3 more of the same group"
    events = (await someone.get("/events")).json()["items"]
    assert [each["payload"].get("truncatedAlerts") for each in events] == [3, None]
    found = {each["title"]: each["meta"] for each in (await someone.get("/incidents")).json()["items"]}
    assert found == {"Other on the shop": {"left_out_alerts": 3}, "HighErrors on the shop": {}}
