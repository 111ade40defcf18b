"""Payloads are decoded for their own org, by token or by a cookie that counts for one route and one origin."""

import base64
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from adapters.codec import OrgCodec
from api.browser import COOKIE
from domain.base import OrgId
from domain.identity import Role
from services.keyring import OrgKeyring
from tests.api.conftest import UI
from tests.api.site import Person, Site
from tests.database import Shift, Tenant

FROM_UI = {"Origin": UI}
DECODE = "/api/v1/codec/decode"


async def encrypted(keyring: OrgKeyring, org: OrgId) -> dict[str, Any]:
    """What the Web UI sends: one payload of the org as its history holds it."""
    context = WorkflowSerializationContext(namespace="default", workflow_id=f"run/{org}/x/y")
    codec = OrgCodec(keyring).with_context(context)
    (payload,) = await codec.encode([Payload(metadata={"encoding": b"json/plain"}, data=b'{"step":"load"}')])
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"payloads": [{"metadata": metadata, "data": base64.b64encode(payload.data).decode()}]}


def clear(response: httpx2.Response) -> Any:
    return json.loads(base64.b64decode(response.json()["payloads"][0]["data"]))


async def opened(person: Person) -> tuple[str, httpx2.Response]:
    """The code of a fresh link, and what opening it answers."""
    code = (await person.post("/codec/session")).json()["code"]
    return code, await person.client.get(f"/api/v1/codec/session?code={code}")


async def by_cookie(person: Person, cookie: str, body: dict[str, Any], headers: dict[str, str]) -> httpx2.Response:
    return await person.client.post(DECODE, json=body, headers={"Cookie": f"{COOKIE}={cookie}"} | headers)


def cookie_of(response: httpx2.Response) -> str:
    return response.headers["set-cookie"].partition(";")[0].partition("=")[2]


async def test_a_token_decodes_what_is_its_orgs(someone: Person, keyring: OrgKeyring) -> None:
    """An operator reads the payloads of the own org."""
    response = await someone.post("/codec/decode", await encrypted(keyring, someone.caller.org))

    assert (response.status_code, clear(response)) == (200, {"step": "load"})


async def test_a_payload_of_another_org_is_refused(someone: Person, theirs: Any, keyring: OrgKeyring) -> None:
    """403, whoever asks."""
    body = await encrypted(keyring, theirs.by.caller.org)

    assert (await someone.post("/codec/decode", body)).status_code == 403


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUTHOR])
async def test_a_viewer_decodes_nothing(site: Site, tenant: Tenant, keyring: OrgKeyring, role: Role) -> None:
    """It takes an operator or higher."""
    person = await site.person(tenant, role)

    assert (await person.post("/codec/decode", await encrypted(keyring, tenant.org))).status_code == 403
    assert (await person.post("/codec/session")).status_code == 403


async def test_a_link_sets_a_cookie_for_one_route(someone: Person, keyring: OrgKeyring) -> None:
    """HttpOnly, SameSite=Strict, and it decodes from the Web UI's origin."""
    _, answer = await opened(someone)
    decoded = await by_cookie(someone, cookie_of(answer), await encrypted(keyring, someone.caller.org), FROM_UI)
    words = answer.headers["set-cookie"].lower()

    assert (answer.status_code, answer.headers["location"]) == (303, UI)
    assert all(word in words for word in ("httponly", "samesite=strict", f"path={DECODE}"))
    assert (decoded.status_code, clear(decoded)) == (200, {"step": "load"})
    assert decoded.headers["access-control-allow-origin"] == UI
    assert decoded.headers["access-control-allow-credentials"] == "true"


async def test_a_link_opens_once(someone: Person) -> None:
    """The second time it is refused, and so is one made up."""
    code, first = await opened(someone)
    again = await someone.client.get(f"/api/v1/codec/session?code={code}")
    forged = await someone.client.get(f"/api/v1/codec/session?code={code[:-1]}{'0' if code[-1] != '0' else '1'}")

    assert [each.status_code for each in (first, again, forged)] == [303, 401, 401]
    assert "set-cookie" not in again.headers


async def test_a_link_lasts_five_minutes_and_a_cookie_eight_hours(someone: Person, keyring: OrgKeyring, shift: Shift) -> None:
    """By the database's clock."""
    code = (await someone.post("/codec/session")).json()["code"]
    _, answer = await opened(someone)
    body = await encrypted(keyring, someone.caller.org)
    await shift(someone.caller.org, timedelta(minutes=6))
    late = await someone.client.get(f"/api/v1/codec/session?code={code}")
    good = await by_cookie(someone, cookie_of(answer), body, FROM_UI)
    await shift(someone.caller.org, timedelta(hours=8))
    over = await by_cookie(someone, cookie_of(answer), body, FROM_UI)

    assert [each.status_code for each in (late, good, over)] == [401, 200, 401]


@pytest.mark.parametrize("headers", [{}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9999"}, {"Origin": f"{UI}.evil"}])
async def test_a10_a_cookie_from_another_origin_is_refused(
    someone: Person, keyring: OrgKeyring, headers: dict[str, str]
) -> None:
    """403, without a word of permission to the browser."""
    _, answer = await opened(someone)
    response = await by_cookie(someone, cookie_of(answer), await encrypted(keyring, someone.caller.org), headers)

    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


async def test_a10_the_cookie_is_no_token_anywhere_else(someone: Person) -> None:
    """No other route looks at it."""
    _, answer = await opened(someone)
    headers = {"Cookie": f"{COOKIE}={cookie_of(answer)}"} | FROM_UI

    assert (await someone.client.get("/api/v1/incidents", headers=headers)).status_code == 401
    assert (await someone.client.post("/api/v1/fix/approve", json={}, headers=headers)).status_code == 401


async def test_a_cookie_dies_with_its_token(someone: Person, keyring: OrgKeyring) -> None:
    """Revoking the token ends what was lent on it."""
    _, answer = await opened(someone)
    body = await encrypted(keyring, someone.caller.org)
    await someone.call("DELETE", f"/tokens/{someone.caller.token.shown}")

    assert (await by_cookie(someone, cookie_of(answer), body, FROM_UI)).status_code == 401


async def test_a_link_is_no_cookie_and_a_cookie_no_link(someone: Person, keyring: OrgKeyring) -> None:
    """What is lent for one purpose counts for no other."""
    code, answer = await opened(someone)
    body = await encrypted(keyring, someone.caller.org)

    assert (await by_cookie(someone, code, body, FROM_UI)).status_code == 401
    assert (await someone.client.get(f"/api/v1/codec/session?code={cookie_of(answer)}")).status_code == 401


async def test_only_the_web_ui_may_ask_beforehand(site: Site) -> None:
    """The preflight of another origin is refused."""
    asked = {"Access-Control-Request-Method": "POST"}
    ours = await site.client.options(DECODE, headers=FROM_UI | asked)
    other = await site.client.options(DECODE, headers={"Origin": "http://evil"} | asked)

    assert (ours.status_code, ours.headers["access-control-allow-methods"]) == (204, "POST")
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (403, False)


@pytest.mark.parametrize(
    "payload",
    [
        {"metadata": {}, "data": "eA=="},
        {"metadata": {"encoding": "not base64!"}, "data": "eA=="},
        {"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}, "data": "eA=="},
        {"metadata": {"encoding": "YmluYXJ5L2VuY3J5cHRlZA==", "suture-org": "eA==", "suture-key": "eA=="}, "data": "AAAA"},
    ],
)
async def test_a_payload_that_is_none_is_refused(someone: Person, payload: dict[str, Any]) -> None:
    """Never a 500."""
    response = await someone.post("/codec/decode", {"payloads": [payload]})

    assert response.status_code in {403, 404, 422}, response.text
