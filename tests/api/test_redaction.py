"""What an org has taken out of its signals, beside what is taken out of everybody's."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.site import EVERY, Person, Site
from tests.database import FoundOrg, Tenant

TEXTS = text("select text from signals where org_id = :org order by id")
CASE = {"kind": "CASE", "pattern": r"(?i)case ([0-9]{6})"}


async def texts(superuser: AsyncEngine, tenant: Tenant) -> list[str]:
    async with superuser.connect() as connection:
        return [row.text for row in await connection.execute(TEXTS, {"org": tenant.org})]


async def say(by: Person, said: str) -> None:
    answer = await by.post("/signals/ingest", [{"kind": "log", "text": said}])
    assert answer.status_code == 200


async def test_an_orgs_own_rule_counts_for_what_comes_after_it(someone: Person, tenant: Tenant, superuser: AsyncEngine) -> None:
    """And is marked alike each time; what was stored before stays as it was."""
    await say(someone, "case 123456 opened from 192.0.2.7")
    assert (await someone.put("/redaction", {"rules": [CASE], "hide_ips": False})).status_code == 200
    await say(someone, "case 123456 closed from 192.0.2.7")
    await say(someone, "Case 123456 again")

    before, closed, again = await texts(superuser, tenant)
    assert before.startswith("case 123456 opened from <IP:")
    mark = closed.removeprefix("case ").removesuffix(" closed from 192.0.2.7")
    assert mark.startswith("<CASE:")
    assert again == f"Case {mark} again"
    assert (await someone.get("/redaction")).json() == {"rules": [CASE], "hide_ips": False}


async def test_another_org_keeps_its_own(site: Site, someone: Person, found_org: FoundOrg) -> None:
    """Nobody sees another's rules, or has them applied."""
    await someone.put("/redaction", {"rules": [CASE]})
    other = await site.person(await found_org(), *EVERY)

    assert (await other.get("/redaction")).json() == {"rules": [], "hide_ips": True}


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("(", "expected a pattern of RE2"), ("x*", "finds the empty text"), (r"(?<=a)b", "expected a pattern of RE2")],
)
async def test_a_pattern_that_is_none_is_refused_and_changes_nothing(someone: Person, pattern: str, says: str) -> None:
    """The answer names the rule and repeats nothing of it but what RE2 says."""
    answer = await someone.put("/redaction", {"rules": [CASE, {"kind": "OWN", "pattern": pattern}]})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/rules/1/pattern"
    assert says in answer.text
    assert (await someone.get("/redaction")).json()["rules"] == []


async def test_too_many_rules_are_refused(someone: Person) -> None:
    """Fifty is enough."""
    assert (await someone.put("/redaction", {"rules": [CASE] * 51})).status_code == 422
