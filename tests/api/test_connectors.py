"""Connectors: who may send from outside, known by a secret that is shown once."""

from typing import Any

import pytest
from sqlalchemy import column, func, select, table, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.identity import Role
from tests.api.site import Person, Site
from tests.database import Tenant
from tests.unit.adapters.test_reaching import FORMS

WANTED: dict[str, Any] = {
    "kind": "alertmanager",
    "name": "the cluster's alerts",
    "config": {"environment": "prod", "opens_incidents": True},
}


async def test_a_connector_is_made_and_read(someone: Person) -> None:
    """The secret is in the first answer alone, and the address names the kind's door."""
    made = await someone.post("/connectors", WANTED)
    connector = made.json()["connector"]
    read = await someone.get(f"/connectors/{connector['id']}")
    listed = await someone.get("/connectors")

    assert (made.status_code, made.headers["location"]) == (201, f"/api/v1/connectors/{connector['id']}")
    assert made.json()["secret"].startswith("whsec_")
    assert read.json() == connector
    assert listed.json()["items"] == [connector]
    assert "secret" not in read.text.replace("opens_incidents", "")
    assert (connector["status"], connector["config"]["environment"]) == ("active", "prod")


async def test_a_secret_is_stored_sealed(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """Nobody who reads the tables or the ledger finds it."""
    secret = (await someone.post("/connectors", WANTED | {"secret": "the sender's own secret"})).json()["secret"]

    assert secret == "the sender's own secret"
    async with superuser.connect() as connection:
        for name in ("connectors", "connector_secrets", "audit_logs", "audit_details", "idempotency_keys"):
            rows = await connection.execute(
                select(func.to_jsonb(table(name).table_valued())).where(column("org_id") == tenant.org)
            )
            assert not [row for row in rows.scalars() if "sender's own" in str(row)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "carrier pigeon"}, "/kind"),
        ({"config": {"opens_incidents": True}}, "/config/environment"),
        ({"config": {"environment": "nowhere"}}, "/config/environment"),
        ({"secret": "short"}, "/secret"),
        ({"config": {"colour": "red"}}, "/config/colour"),
        ({"name": ""}, "/name"),
        ({"scopes": ["everything"]}, "/scopes/0"),
        ({"config": {"mapping": {"items": "$"}}}, "/config/mapping"),
    ],
)
async def test_a_wrong_connector_is_refused(someone: Person, change: dict, pointer: str) -> None:
    """422 names the place, and nothing is made."""
    answer = await someone.post("/connectors", WANTED | change)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await someone.get("/connectors")).json()["items"] == []


async def test_a_name_is_taken_once(someone: Person) -> None:
    """Neither a new one nor a renamed one takes another's name."""
    await someone.post("/connectors", WANTED)
    other = (await someone.post("/connectors", WANTED | {"name": "other"})).json()["connector"]

    assert (await someone.post("/connectors", WANTED)).status_code == 409
    assert (await someone.patch(f"/connectors/{other['id']}", {"name": WANTED["name"]})).status_code == 409


async def test_a_connector_changes_and_goes(someone: Person) -> None:
    """Only what is sent changes; what is removed is nowhere, and its end is in the ledger."""
    made = (await someone.post("/connectors", WANTED)).json()["connector"]
    path = f"/connectors/{made['id']}"

    paused = (await someone.patch(path, {"status": "paused"})).json()
    gone = await someone.call("DELETE", path)

    assert (paused["status"], paused["config"]) == ("paused", made["config"])
    assert gone.status_code == 204
    assert (await someone.get(path)).status_code == 404
    entries = (await someone.get("/audit-logs?resource_id=" + made["id"])).json()["items"]
    assert [each["action"] for each in entries] == ["connector.removed", "connector.changed", "connector.created"]


async def test_only_an_admin_makes_them(site: Site, tenant: Tenant) -> None:
    """Whoever may send in an org's name is a matter for its admin."""
    operator = await site.person(tenant, Role.OPERATOR)

    assert (await operator.post("/connectors", WANTED)).status_code == 403


async def test_rotating_the_orgs_key_keeps_the_secrets(
    someone: Person, site: Site, tenant: Tenant, superuser: AsyncEngine
) -> None:
    """After a rotation every secret is sealed under the new key, and counts as before."""
    await someone.post("/connectors", WANTED)

    key = await site.services.secrets.rotate_key(tenant.admin)

    async with superuser.connect() as connection:
        keys = await connection.execute(text("select key_id from connector_secrets where org_id = :org"), {"org": tenant.org})
        assert set(keys.scalars()) == {key}


@pytest.mark.parametrize(
    ("mapping", "pointer"),
    [
        ({"path": "$"}, ""),
        ({"items": "incidents"}, "/items"),
        ({"items": "$..a"}, "/items"),
        ({"fields": ["$"]}, "/fields"),
        ({"fields": {"colour": "$.a"}}, "/fields"),
        ({"fields": {"text": "$.a["}}, "/fields/text"),
        ({"fields": {"text": 7}}, "/fields/text"),
        ({"labels": {"hunter2": "$["}}, "/labels"),
        ({"severities": {"hunter2": "bad"}}, "/severities"),
        ({"statuses": {"open": "firing", "closed": "hunter2"}}, "/statuses"),
        ({"kinds": {"x": ["log"]}}, "/kinds"),
    ],
)
async def test_a_mapping_that_cannot_be_read_is_refused_when_it_is_saved(someone: Person, mapping: dict, pointer: str) -> None:
    """422 names its place, whether the connector is made or changed, and repeats nothing of the sender's own words."""
    made = await someone.post("/connectors", {"kind": "generic", "name": "json", "config": {"mapping": {"items": "$.a[*]"}}})
    path = f"/connectors/{made.json()['connector']['id']}"

    answers = [
        await someone.post("/connectors", {"kind": "generic", "name": "another", "config": {"mapping": mapping}}),
        await someone.patch(path, {"config": {"mapping": mapping}}),
    ]

    flaws = [answer.json()["errors"][0] for answer in answers]
    assert [(answer.status_code, flaw["pointer"]) for answer, flaw in zip(answers, flaws, strict=True)] == [
        (422, f"/config/mapping{pointer}")
    ] * 2
    assert "hunter2" not in "".join(answer.text for answer in answers)
    assert (await someone.get(path)).json()["config"]["mapping"] == {"items": "$.a[*]"}


async def test_an_org_has_two_hundred_connectors_at_most(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """The next one is 409, and says what to do; with room again it is made."""
    more = text(
        "insert into connectors (org_id, id, kind, name, config) "
        "select :org, uuidv7(), 'github', 'c-' || n, '{}' from generate_series(1, 199) n"
    )
    async with superuser.begin() as connection:
        await connection.execute(more, {"org": tenant.org})
    last = (await someone.post("/connectors", WANTED)).json()["connector"]

    refused = await someone.post("/connectors", WANTED | {"name": "one too many"})
    await someone.call("DELETE", f"/connectors/{last['id']}")

    assert (refused.status_code, "remove one" in refused.json()["detail"]) == (409, True)
    assert (await someone.post("/connectors", WANTED)).status_code == 201


@pytest.mark.parametrize("form", FORMS)
async def test_a39_no_connector_names_an_address_that_only_we_can_reach(someone: Person, form: str) -> None:
    """422 in every form, when it is made, changed and tried; what is refused is not repeated."""
    url = FORMS[form].format(9093)
    made = (await someone.post("/connectors", WANTED)).json()["connector"]
    config = WANTED["config"] | {"source_url": url}

    answers = [
        await someone.post("/connectors", WANTED | {"name": "another", "config": config}),
        await someone.patch(f"/connectors/{made['id']}", {"config": config}),
        await someone.post("/connectors/test", {"kind": "alertmanager", "config": config, "payload": {}}),
    ]

    assert [(each.status_code, each.json()["errors"][0]["pointer"]) for each in answers] == [(422, "/config/source_url")] * 3
    assert url not in "".join(each.text for each in answers)
    assert (await someone.get(f"/connectors/{made['id']}")).json()["config"]["source_url"] is None


async def test_a_sender_that_cannot_be_asked_has_no_address(someone: Person) -> None:
    """It would be of no use."""
    answer = await someone.post(
        "/connectors", {"kind": "grafana", "name": "g", "config": {"source_url": "http://127.0.0.2:3000"}}
    )

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/config/source_url")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "token ghp_" + "a1B2" * 9}, "/name"),
        ({"kind": "generic", "config": {"mapping": {"fields": {"service": "https://me:hunter22@db.example"}}}}, "/config"),
    ],
)
async def test_a45_a_credential_outside_of_the_secret_is_refused(someone: Person, change: dict, pointer: str) -> None:
    """Names and mappings are shown to everybody who may read connectors; the answer does not repeat it."""
    refused = await someone.post("/connectors", WANTED | change)
    made = (await someone.post("/connectors", WANTED)).json()["connector"]
    renamed = await someone.patch(f"/connectors/{made['id']}", {"name": "token ghp_" + "a1B2" * 9})

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    assert renamed.status_code == 422
    assert "hunter22" not in refused.text
    assert "a1B2" not in refused.text + renamed.text


FEED: dict[str, Any] = {
    "kind": "postgres",
    "name": "jobs",
    "secret": "postgresql://reader:the-hidden-word@127.0.0.2:5432/jobs",
    "config": {"environment": "prod", "opens_incidents": True, "feed": {"channels": ["jobs"]}},
}


async def test_the_address_of_a_database_is_never_shown(someone: Person) -> None:
    """Not in the answer that makes the connector, not when it is replaced, not afterwards."""
    made = await someone.post("/connectors", FEED)
    path = f"/connectors/{made.json()['connector']['id']}"
    replaced = await someone.post(f"{path}/secret", {"secret": FEED["secret"]})

    assert (made.status_code, replaced.status_code) == (201, 200)
    assert made.json()["secret"] is replaced.json()["secret"] is None
    answers = (made, replaced, await someone.get(path), await someone.get("/audit-logs?resource_id=" + path.rpartition("/")[2]))
    assert not [each for each in answers if "hidden-word" in each.text]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"secret": None}, "/secret"),
        ({"secret": "a secret of the sender"}, "/secret"),
        ({"secret": "postgresql://reader:the-hidden-word@127.0.0.1/jobs"}, "/secret"),
        ({"secret": "postgresql://reader:the-hidden-word@[::ffff:127.0.0.2]/jobs"}, "/secret"),
        ({"secret": "postgresql://reader:the-hidden-word@169.254.169.254/jobs"}, "/secret"),
        ({"config": {}}, "/config/feed"),
        ({"config": {"feed": {"channels": ["a; drop table x"]}}}, "/config/feed/channels/0"),
        ({"config": {"feed": {"channels": ["a"], "table": "jobs"}}}, "/config/feed"),
        ({"config": {"feed": {"channels": ["a"], "verdicts": "a; drop table x"}}}, "/config/feed/verdicts"),
        (
            {"config": {"feed": {"channels": ["a"], "table": "jobs", "since": "at", "verdicts": "public.jobs"}}},
            "/config/feed",
        ),
        ({"kind": "generic"}, "/config/feed"),
    ],
)
async def test_a_wrong_feed_is_refused(someone: Person, change: dict, pointer: str) -> None:
    """422 names the place and nothing of the address, and nothing is made."""
    answer = await someone.post("/connectors", FEED | change)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert "hidden-word" not in answer.text
    assert (await someone.get("/connectors")).json()["items"] == []


async def test_nobody_sends_what_is_read_in_a_database(someone: Person, site: Site) -> None:
    """A feed has no door, whatever is known of it."""
    made = (await someone.post("/connectors", FEED)).json()["connector"]
    headers = {"Authorization": f"Bearer {FEED['secret']}"}

    answer = await site.client.post(f"/api/v1/ingest/postgres/{made['endpoint']}", json={}, headers=headers)

    assert answer.status_code == 401
