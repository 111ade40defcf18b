"""Senders of every kind as their connectors know them: real requests, signed anew whatever their body has become."""

import hmac
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

from adapters.sources import SOURCES
from tests.api.site import Person
from tests.unit.adapters.sources.requests import CASES, SECRET, Case

CONFIG = {"environment": "prod", "service": "shop"}
_RICH = 8_192
_PROOFS = frozenset(
    {"authorization", "x-grafana-alerting-signature", "x-grafana-alerting-timestamp", "x-hub-signature-256", "x-gitlab-token"}
    | {"x-pagerduty-signature", "sentry-hook-signature"}
)


def _example(kind: str) -> Case:
    """The richest request in JSON of which as few items as can be are refused."""
    readable = [each for each in CASES if each.kind == kind and each.body[:1] in (b"{", b"[") and each.parse().signals]
    return min(
        (each for each in readable if len(each.body) < _RICH), key=lambda each: (len(each.parse().refused), -len(each.body))
    )


EXAMPLES = {source.kind: _example(source.kind) for source in SOURCES}
"""By kind, a request that is taken."""


class Reached(Protocol):
    """Whatever has a client of the API."""

    @property
    def client(self) -> httpx2.AsyncClient: ...


@dataclass(frozen=True)
class Sender:
    """`connector` and `path` are its own; what it posts is like its example but for the body."""

    site: Reached
    example: Case
    connector: str
    path: str

    async def post(self, body: bytes, **headers: str) -> httpx2.Response:
        """Under the example's headers, changed by `headers`, with a proof for this very body."""
        own = {name: value for name, value in self.example.index["headers"].items() if name not in _PROOFS}
        sent = own | proof(self.example.kind, body) | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.site.client.post(self.path, content=body, headers=sent)


async def sender(site: Reached, by: Person, kind: str, *, opens_incidents: bool = True) -> Sender:
    """A new connector of the kind, or of the one that it belongs to."""
    example = EXAMPLES[kind]
    config = CONFIG | {"opens_incidents": opens_incidents, "mapping": example.index.get("config", {})}
    body = {"kind": example.source.belongs_to or kind, "name": f"{kind}-{len(kind)}", "config": config, "secret": SECRET}
    made = (await by.post("/connectors", body)).json()["connector"]
    return Sender(site, example, made["id"], f"/api/v1/ingest/{_address(kind, made['endpoint'])}")


def proof(kind: str, body: bytes) -> dict[str, str]:
    """The headers by which a sender of this kind shows that it knows the secret."""
    signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    match kind:
        case "github":
            return {"x-hub-signature-256": f"sha256={signature}"}
        case "gitlab":
            return {"x-gitlab-token": SECRET}
        case "pagerduty_webhooks":
            return {"x-pagerduty-signature": f"v1={signature}"}
        case "sentry":
            return {"sentry-hook-signature": signature}
        case "pagerduty_events":
            return {}
    return {"authorization": f"Bearer {SECRET}"}


def keyed(kind: str, document: Any) -> Any:
    """The document with what proves it, for the one kind whose proof is in the body."""
    return document | {"routing_key": SECRET} if kind == "pagerduty_events" and isinstance(document, dict) else document


def _address(kind: str, endpoint: str) -> str:
    family, _, signal = kind.partition("_")
    if family == "otlp":
        return f"otlp/{endpoint}/v1/{signal}"
    return f"alertmanager/{endpoint}/api/v2/alerts" if kind == "alertmanager_api" else f"{kind}/{endpoint}"
