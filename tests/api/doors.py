"""A request of every kind of sender, posted at its own door with the secret of the fixtures."""

from collections.abc import Mapping
from typing import Any

import httpx2

from tests.api.site import Person, Site
from tests.unit.adapters.sources.pages import EXAMPLES
from tests.unit.adapters.sources.requests import SECRET, Case, case

REQUESTS: Mapping[str, Case] = {each.kind: each for each in EXAMPLES.values()} | {
    "alertmanager_api": case("alertmanager_api/firing"),
    "otlp_metrics": case("otlp_metrics/points"),
    "otlp_traces": case("otlp_traces/spans"),
}
"""By the kind of the source."""
_DOORS = {
    "alertmanager_api": "alertmanager/{}/api/v2/alerts",
    "otlp_logs": "otlp/{}/v1/logs",
    "otlp_metrics": "otlp/{}/v1/metrics",
    "otlp_traces": "otlp/{}/v1/traces",
}


async def an_endpoint(someone: Person, given: Case, *, secret: str = SECRET, **config: Any) -> str:
    """Where a new connector for this request listens."""
    kind = given.source.belongs_to or given.kind
    config = {"environment": "prod", "mapping": given.index.get("config", {})} | config
    made = await someone.post("/connectors", {"kind": kind, "name": f"the {kind}", "config": config, "secret": secret})
    assert made.status_code == 201, made.text
    return str(made.json()["connector"]["endpoint"])


async def post(
    site: Site, given: Case, endpoint: str, *, body: bytes | None = None, headers: Mapping[str, str | bytes] | None = None
) -> httpx2.Response:
    """The request, or another one at its door."""
    path = _DOORS.get(given.kind, f"{given.kind}/{{}}").format(endpoint)
    sent = given.index["headers"] if headers is None else headers
    content = given.body if body is None else body
    return await site.client.post(f"/api/v1/ingest/{path}", content=content, headers=list(sent.items()))
