"""Try a payload before it counts: the signal that it would become, or why it would not."""

import json
from typing import Any

import pytest

from domain.identity import Role
from tests.api.doors import REQUESTS
from tests.api.site import Person, Site
from tests.database import Tenant
from tests.unit.adapters.sources.requests import Case, case

MAPPING = case("generic/check").index["config"]
CONFIG = {"environment": "prod", "opens_incidents": True}


def trial(given: Case, **changes: Any) -> dict[str, Any]:
    config = CONFIG | {"mapping": given.index.get("config", {})}
    kind = given.source.belongs_to or given.kind
    sample = {"payload": json.loads(given.body), "headers": given.index["headers"], "source": given.kind}
    return {"kind": kind, "config": config} | sample | changes


async def test_a_mapping_is_tried_before_it_is_saved(site: Site, someone: Person, tenant: Tenant) -> None:
    """The answer is the mapped signal; there is no connector, no signal, no incident and no entry after it."""
    before = await site.audited(tenant)

    answer = await someone.post("/connectors/test", trial(case("generic/check")))

    (item,) = answer.json()["signals"]
    signal = item["signal"]
    assert (answer.status_code, answer.json()["stored"], item["opens_incident"]) == (200, 1, True)
    assert (signal["key"], signal["severity"], signal["event_type"]) == ("latency", "critical", "alert.firing")
    assert (signal["text"], signal["service"], signal["value"]) == ("p95 is 913 ms", "checkout", 913.5)
    assert [(await someone.get(path)).json()["items"] for path in ("/connectors", "/events", "/incidents")] == [[], [], []]
    assert await site.audited(tenant) == before


@pytest.mark.parametrize("kind", REQUESTS)
async def test_a_request_of_every_kind_can_be_tried(someone: Person, kind: str) -> None:
    """As many signals as its sender's delivery would store."""
    answer = await someone.post("/connectors/test", trial(REQUESTS[kind]))

    parsed = REQUESTS[kind].parse()
    assert (answer.status_code, answer.json()["stored"], answer.json()["refused"]) == (
        200,
        len(parsed.signals),
        len(parsed.refused),
    )


async def test_a_saved_connector_tries_with_its_own_mapping(someone: Person) -> None:
    """And leaves no delivery in its log."""
    body = {"kind": "generic", "name": "checks", "config": CONFIG | {"mapping": MAPPING}}
    path = f"/connectors/{(await someone.post('/connectors', body)).json()['connector']['id']}"

    answer = await someone.post(f"{path}/test", {"payload": json.loads(case("generic/check").body)})

    assert [each["signal"]["key"] for each in answer.json()["signals"]] == ["latency"]
    assert (await someone.get(f"{path}/deliveries")).json()["items"] == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("{", "the body is not JSON"),
        ({"alerts": 7}, "expected a list of alerts"),
        ({"alerts": [{"status": "firing"}]}, "expected an alert with labels"),
    ],
)
async def test_what_cannot_be_read_is_told_why(someone: Person, payload: Any, reason: str) -> None:
    """In the words that the sender would hear."""
    answer = await someone.post("/connectors/test", {"kind": "alertmanager", "config": CONFIG, "payload": payload})

    assert (answer.json()["signals"], [each["reason"] for each in answer.json()["reasons"]]) == ([], [reason])


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "pigeon"}, "/kind"),
        ({"config": {"opens_incidents": True}}, "/config/environment"),
        ({"config": {"mapping": {"items": "$["}}}, "/config/mapping/items"),
        ({"source": "grafana"}, "/source"),
    ],
)
async def test_what_could_not_be_saved_is_not_tried(someone: Person, change: dict[str, Any], pointer: str) -> None:
    """422, as when it is saved."""
    answer = await someone.post("/connectors/test", trial(case("generic/check")) | change)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_trial_shows_no_secret(someone: Person) -> None:
    """What would be hidden in the store is hidden here."""
    body = {"kind": "generic", "config": {"mapping": {"fields": {"text": "$.said"}}}}

    answer = await someone.post("/connectors/test", body | {"payload": {"said": "login with password=hunter2secret failed"}})

    assert answer.json()["signals"][0]["signal"]["text"].startswith("login with password=")
    assert "hunter2secret" not in answer.text


async def test_a_trial_of_ten_thousand_shows_a_hundred(someone: Person) -> None:
    """The numbers are those of all."""
    body = {"kind": "generic", "config": {"mapping": {"items": "$.all[*]"}}, "payload": {"all": list(range(20_000))}}

    answer = (await someone.post("/connectors/test", body)).json()

    assert (answer["stored"], len(answer["signals"])) == (10_000, 100)


async def test_only_an_admin_tries(site: Site, tenant: Tenant) -> None:
    """As only an admin makes them."""
    operator = await site.person(tenant, Role.OPERATOR)

    assert (await operator.post("/connectors/test", trial(case("generic/check")))).status_code == 403
