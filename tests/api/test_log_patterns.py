"""A user says how the lines of a service are to be read, and its monitor does."""

import pytest

from domain.refs import MonitorRef
from services.ledger import Ledger
from services.monitors import Monitors
from tests.api.site import Incident, Person, Site

PLACE = {"service": "checkout", "environment": "prod"}
OWN = r"^\|%{WORD:level}\|%{NUMBER:ms:int}\| %{GREEDYDATA:message}$"
PATH = "/log-patterns?service=checkout&environment=prod"


@pytest.fixture
def monitors(site: Site, ledger: Ledger) -> Monitors:
    return Monitors(site.database, ledger, site.services.incidents)


async def said(person: Person, monitors: Monitors, *texts: str) -> list[str]:
    """The templates of the service once it has said this."""
    sent = [PLACE | {"kind": "log", "text": text} for text in texts]
    assert (await person.post("/signals/ingest", sent)).status_code == 200
    await monitors.look(MonitorRef(org=person.caller.org, environment="prod", service="checkout"))
    found = (await person.get("/log-templates", params=PLACE)).json()["items"]
    return [each["template"] for each in found]


async def test_lines_are_read_by_a_users_patterns_from_the_next_look_on(someone: Person, monitors: Monitors) -> None:
    """The message without what stands around it, and the level as it is called; other lines are read like any."""
    before = await said(someone, monitors, "|error|12| no answer")
    stored = await someone.put("/log-patterns", PLACE | {"expressions": [OWN]})
    after = await said(someone, monitors, "|error|12| no answer", "disk is full")
    view = (await someone.get("/monitoring/services/checkout?environment=prod")).json()

    assert stored.status_code == 200
    assert (await someone.get(PATH)).json() == {"expressions": [OWN], "definitions": {}}
    assert len(before) == 1
    assert after[:2] == ["disk is full", "no answer"]
    assert view["errors"]["value"] == pytest.approx(1 / 3)


async def test_without_patterns_lines_are_read_like_any_again(someone: Person, monitors: Monitors) -> None:
    """None is a choice too; each change is in the ledger, by how many there are."""
    await said(someone, monitors, "x")
    await someone.put("/log-patterns", PLACE | {"expressions": [OWN]})
    await someone.put("/log-patterns", PLACE | {"expressions": []})
    after = await said(someone, monitors, "|error|12| no answer")
    entries = (await someone.get("/audit-logs", params={"resource_type": "monitor"})).json()["items"]

    assert after[0] != "no answer"
    assert [(each["action"], each["after_json"]["expressions"]) for each in entries] == [
        ("log_patterns.changed", 0),
        ("log_patterns.changed", 1),
    ]


@pytest.mark.parametrize(
    ("expressions", "sentence"),
    [
        (["%{NOSUCH:x}"], "no pattern is called NOSUCH"),
        (["(a"], "expected a pattern of RE2"),
        (["(?=a)b"], "expected a pattern of RE2"),
    ],
)
async def test_what_cannot_be_compiled_is_refused_with_the_reason(
    someone: Person, monitors: Monitors, expressions: list[str], sentence: str
) -> None:
    """And nothing is changed."""
    await said(someone, monitors, "x")
    answer = await someone.put("/log-patterns", PLACE | {"expressions": expressions})

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(sentence)
    assert (await someone.get(PATH)).json()["expressions"] == []


async def test_only_a_watched_service_of_ones_own_has_patterns(someone: Person, monitors: Monitors, theirs: Incident) -> None:
    """Another org, and another environment, find none to read or to change."""
    await said(someone, monitors, "x")

    assert (await theirs.by.get(PATH)).status_code == 404
    assert (await theirs.by.put("/log-patterns", PLACE | {"expressions": []})).status_code == 404
    assert (await someone.put("/log-patterns", PLACE | {"environment": "dev", "expressions": []})).status_code == 404
