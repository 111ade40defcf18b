"""What a real API process writes to its log."""

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from sqlalchemy import text

from domain.base import OrgId
from stack import ports
from tests.api.site import code, spec
from tests.processes import Served, answers, environment, serving

CANARY = "sut_canary-5e1f"
TRACE = "0af7651916cd43dd8448eb211c80319c"
WRITES = text("update principals set roles = array_append(roles, 'author') where org_id = :org and id = :id")


@pytest.fixture
async def url() -> str:
    return f"http://127.0.0.1:{ports.choose(0)[0]}"


async def _asked(url: str, token: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X-Request-ID": "req-7"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        return await client.post("/api/v1/pipelines", json={"spec": spec(), "code": code({"read.py": CANARY.encode()})})


def _lines(served: Served) -> list[dict[str, object]]:
    return [json.loads(line) for line in served.said().splitlines()]


def _is_of(line: dict[str, object], org: OrgId) -> bool:
    named = (line.get("org"), line.get("trace_id"), line.get("correlation_id"))
    return line["event"] == "request failed" and named == (org.shown, TRACE, "req-7")


async def test_a_fault_is_one_line_that_names_its_request_and_no_value(chosen, tenant, superuser, url, tmp_path):
    """Whatever the process writes is JSON; a failed request has org, trace and id, and no value of what went wrong."""
    async with superuser.begin() as connection:
        await connection.execute(WRITES, {"org": tenant.org, "id": tenant.admin.id})
    blobs = tmp_path / CANARY
    variables = environment(chosen) | {"SUTURE_API_PORT": str(urlsplit(url).port), "SUTURE_BLOBS": str(blobs)}
    async with serving("api.app", variables, tmp_path, lambda: answers(f"{url}/healthz")) as served:
        shutil.rmtree(blobs)
        answer = await _asked(url, tenant.token)
        lines = _lines(served)

    assert answer.status_code == 500
    assert [line["error"] for line in lines if _is_of(line, tenant.org)] == ["FileNotFoundError"]
    assert CANARY not in served.said() + answer.text
    assert tenant.token not in served.said()


async def test_a_refusal_for_what_is_out_of_reach_is_in_the_log(chosen, tenant, url, tmp_path: Path):
    """Who asks gets one sentence and a request id; the log knows under that id what did not answer."""
    nobody = f"http://127.0.0.1:{ports.choose(0)[0]}"
    variables = environment(chosen) | {"SUTURE_API_PORT": str(urlsplit(url).port), "SUTURE_OPA_URL": nobody}
    async with serving("api.app", variables, tmp_path, lambda: answers(f"{url}/healthz")) as served:
        answer = await _asked(url, tenant.token)
        lines = _lines(served)

    assert (answer.status_code, answer.json()["instance"]) == (503, "req-7")
    assert [line["code"] for line in lines if _is_of(line, tenant.org)] == ["unavailable"]
