"""One credential, one org: what belongs to another answers as what does not exist."""

import asyncio
import time

import pytest

from api.cursors import Listing
from tests.api.operations import ALL, UNKNOWN, Operation, name_of
from tests.api.site import Incident, Person, Site
from tests.database import FoundOrg

BY_PATH = tuple(each for each in ALL if "_id}" in each.path)
BY_BODY = tuple(
    each
    for each in ALL
    if each.key
    in {
        ("post", "/api/v1/fix/plan"),
        ("post", "/api/v1/fix/preflight"),
        ("post", "/api/v1/fix/approve"),
        ("post", "/api/v1/fix/execute"),
        ("post", "/api/v1/approvals"),
        ("post", "/api/v1/recovery/replay"),
        ("post", "/api/v1/events"),
        ("post", "/api/v1/tokens"),
        ("put", "/api/v1/kill-switches"),
    }
)
LISTS = tuple(each for each in ALL if each.method == "get" and "{" not in each.path and each.action)


async def _ask(person: Person, operation: Operation, ids: dict[str, str]) -> tuple[int, dict[str, object]]:
    response = await person.call(operation.method, operation.at(ids), json=operation.body(ids))
    return response.status_code, response.json() | {"instance": ""}


@pytest.mark.parametrize("operation", [*BY_PATH, *BY_BODY], ids=name_of)
async def test_a11_a_foreign_id_answers_as_one_that_nobody_has(ours: Incident, theirs: Incident, operation: Operation) -> None:
    """Same status and same body, both ways round."""
    unknown = await _ask(ours.by, operation, UNKNOWN)

    assert unknown[0] == 404
    assert await _ask(ours.by, operation, theirs.ids | {"operation_id": UNKNOWN["operation_id"]}) == unknown
    assert await _ask(theirs.by, operation, ours.ids | {"operation_id": UNKNOWN["operation_id"]}) == unknown


@pytest.mark.parametrize("operation", [each for each in BY_PATH if each.method == "get"], ids=name_of)
async def test_a11_an_id_of_another_kind_is_unknown_too(ours: Incident, operation: Operation) -> None:
    """Each of our own ids, in the place of every other kind: refused by its prefix, or unknown as a bare UUID."""
    for shown in set(ours.ids.values()):
        for name in UNKNOWN:
            place = f"{{{name}}}"
            if place not in operation.path or ours.ids[name] == shown or name == "operation_id":
                continue
            if {name, "workflow_id"} == {"pipeline_id", "workflow_id"}:
                continue
            status, _ = await _ask(ours.by, operation, ours.ids | {name: shown})
            assert status in {404, 422}, (operation.path, shown)


async def test_a11_a_foreign_id_takes_no_other_time(ours: Incident, theirs: Incident) -> None:
    """Unknown and foreign are one query; at their best neither is three times slower than the other."""
    asked = {"foreign": theirs.ids["incident_id"], "unknown": UNKNOWN["incident_id"]}
    best = dict.fromkeys(asked, 60.0)
    for _ in range(15):
        for name, incident in asked.items():
            began = time.perf_counter()
            await ours.by.get(f"/incidents/{incident}")
            best[name] = min(best[name], time.perf_counter() - began)

    assert max(best.values()) < 3 * min(best.values())


@pytest.mark.parametrize("operation", LISTS, ids=name_of)
async def test_a11_a_list_shows_nothing_of_another_org(ours: Incident, theirs: Incident, operation: Operation) -> None:
    """No id of theirs appears in any list of ours."""
    response = await ours.by.get(operation.path)

    assert not [each for name, each in theirs.ids.items() if name != "operation_id" and each in response.text]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/executions?pipeline_id={}", "pipeline_id"),
        ("/events?workflow_id={}", "workflow_id"),
        ("/events?incident_id={}", "incident_id"),
        ("/decisions?incident_id={}", "incident_id"),
        ("/audit-logs?incident_id={}", "incident_id"),
        ("/audit-logs?resource_id={}", "plan_id"),
        ("/tokens?principal={}", "principal_id"),
    ],
)
async def test_a13_a_filter_by_a_foreign_id_finds_nothing(ours: Incident, theirs: Incident, path: str, name: str) -> None:
    """A filter narrows what is ours and reaches nothing else."""
    foreign = await ours.by.get(path.format(theirs.ids[name]))
    own = await ours.by.get(path.format(ours.ids[name]))

    assert (foreign.status_code, foreign.json()["items"]) == (200, [])
    assert own.status_code == 200


@pytest.mark.parametrize("header", ["X-Org-Id", "X-Tenant-Id", "X-Suture-Org", "X-Forwarded-Org"])
async def test_a12_an_org_in_a_header_is_nothing(ours: Incident, theirs: Incident, header: str) -> None:
    """The org is the token's."""
    org = theirs.by.caller.org.shown
    response = await ours.by.get(f"/incidents/{theirs.ids['incident_id']}", headers={header: org})

    assert response.status_code == 404
    assert (await ours.by.get("/principals/me", headers={header: org})).json()["org"] == ours.by.caller.org.shown


@pytest.mark.parametrize("name", ["org_id", "org", "tenant_id"])
@pytest.mark.parametrize("operation", LISTS, ids=name_of)
async def test_a12_an_org_in_the_query_is_refused(ours: Incident, theirs: Incident, operation: Operation, name: str) -> None:
    """No list takes an org."""
    response = await ours.by.get(f"{operation.path}?{name}={theirs.by.caller.org.shown}")

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith("query:")


async def test_a14_a_cursor_counts_in_its_own_list_only(site: Site, ours: Incident, theirs: Incident) -> None:
    """A cursor of another org, list or filter is refused, and so is one that was altered or made up."""
    mine = (await ours.by.get("/audit-logs?limit=2")).json()["next"]
    foreign = (await theirs.by.get("/audit-logs?limit=2")).json()["next"]
    made_up = site.app.state.cursors.seal(Listing(org=theirs.by.caller.org, route="/audit-logs"), ("9999",))
    altered = ("B" if mine[0] == "A" else "A") + mine[1:]
    refused = [
        f"/audit-logs?cursor={foreign}",
        f"/audit-logs?cursor={made_up}",
        f"/audit-logs?cursor={altered}",
        f"/audit-logs?action=run.started&cursor={mine}",
        f"/decisions?cursor={mine}",
        f"/incidents/{ours.ids['incident_id']}/timeline?cursor={mine}",
        "/audit-logs?cursor=x",
        "/audit-logs?cursor=" + "A" * 1_000,
    ]

    assert [(await ours.by.get(path)).status_code for path in refused] == [422] * len(refused)
    assert (await ours.by.get(f"/audit-logs?limit=2&cursor={mine}")).status_code == 200


async def test_a_list_is_walked_whole(ours: Incident) -> None:
    """Page by page, everything once and in order."""
    seen: list[int] = []
    path = "/audit-logs?limit=3"
    while path:
        page = (await ours.by.get(path)).json()
        seen += [each["seq"] for each in page["items"]]
        path = f"/audit-logs?limit=3&cursor={page['next']}" if page["next"] else ""

    assert seen == list(range(len(seen), 0, -1))
    assert len(seen) > 9


async def test_a15_interleaved_requests_of_two_orgs_never_mix(ours: Incident, theirs: Incident) -> None:
    """Many requests at once, a fifth of them refused: each answer is its caller's."""

    room = asyncio.Semaphore(6)

    async def one(number: int) -> bool:
        async with room:
            return await asked(number)

    async def asked(number: int) -> bool:
        person = (ours, theirs)[number % 2].by
        if number % 5 == 0:
            return (await person.get(f"/incidents/{UNKNOWN['incident_id']}")).status_code == 404
        found = (await person.get("/principals/me")).json()
        return bool(found["org"] == person.caller.org.shown)

    assert all(await asyncio.gather(*(one(number) for number in range(100))))


async def test_an_empty_org_sees_nothing(site: Site, ours: Incident, found_org: FoundOrg) -> None:
    """A new org starts with empty lists."""
    fresh = await found_org()
    stranger = Person(fresh.admin, fresh.token, site.client)

    for path in ("/pipelines", "/executions", "/incidents", "/events", "/approvals", "/decisions", "/recovery/failed"):
        assert (await stranger.get(path)).json() == {"items": [], "next": None}
