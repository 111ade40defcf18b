"""Every operation of the document, with a body that is right for it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from api.app import document, routed
from tests.api.site import code, spec

DOCUMENT = document(routed())
Ids = Mapping[str, str]
OPEN_TO_ALL = frozenset({("get", "/api/v1/healthz"), ("get", "/api/v1/readyz"), ("get", "/api/v1/metrics")})
"""What needs no token; the code of `/codec/session` is a credential of its own kind."""

DOORS = frozenset(
    {
        ("post", "/api/v1/ingest/{source}/{endpoint}"),
        ("post", "/api/v1/ingest/otlp/{endpoint}/v1/{signal}"),
        ("post", "/api/v1/ingest/pagerduty/v2/enqueue"),
        ("post", "/api/v1/ingest/pagerduty/v2/change/enqueue"),
        ("post", "/api/v1/ingest/alertmanager/{endpoint}/api/v2/alerts"),
    }
)
"""What senders outside are known at by a connector's secret; `test_ingest.py` attacks them."""

BODIES: Mapping[tuple[str, str], Callable[[Ids], Any]] = {
    ("post", "/api/v1/pipelines"): lambda ids: {"spec": spec("another"), "code": code()},
    ("patch", "/api/v1/pipelines/{pipeline_id}"): lambda ids: {"config": {"column": "other"}},
    ("post", "/api/v1/workflows"): lambda ids: {"name": "another"},
    ("patch", "/api/v1/workflows/{workflow_id}"): lambda ids: {"description": "said"},
    ("post", "/api/v1/events"): lambda ids: {"event_type": "deploy", "payload": {}, "workflow_id": ids["workflow_id"]},
    ("post", "/api/v1/signals/ingest"): lambda ids: [{"kind": "log", "text": "slow", "workflow_id": ids["workflow_id"]}],
    ("post", "/api/v1/monitoring/ingest"): lambda ids: [{"kind": "metric", "key": "cpu_percent", "value": 93.5}],
    ("post", "/api/v1/connectors"): lambda ids: {"kind": "alertmanager", "name": "another", "config": {}},
    ("patch", "/api/v1/connectors/{connector_id}"): lambda ids: {"name": "renamed"},
    ("post", "/api/v1/connectors/{connector_id}/secret"): lambda ids: {"secret": "long enough to count"},
    ("post", "/api/v1/connectors/test"): lambda ids: {"kind": "generic", "payload": {"a": 1}},
    ("post", "/api/v1/connectors/{connector_id}/test"): lambda ids: {"payload": {"alerts": []}},
    ("post", "/api/v1/incidents/open"): lambda ids: {"title": "slow", "service": "shop"},
    ("patch", "/api/v1/incidents/{incident_id}"): lambda ids: {"status": "resolved"},
    ("post", "/api/v1/fix/plan"): lambda ids: {"incident_id": ids["incident_id"]},
    ("post", "/api/v1/fix/preflight"): lambda ids: {"plan_id": ids["plan_id"]},
    ("post", "/api/v1/fix/approve"): lambda ids: {"plan_id": ids["plan_id"]},
    ("post", "/api/v1/fix/execute"): lambda ids: {"plan_id": ids["plan_id"], "runner": "agent"},
    ("post", "/api/v1/approvals"): lambda ids: {"plan_id": ids["plan_id"]},
    ("patch", "/api/v1/approvals/{approval_id}"): lambda ids: {"choice": "approve"},
    ("post", "/api/v1/recovery/replay"): lambda ids: {"execution_id": ids["execution_id"], "reason": "again"},
    ("put", "/api/v1/kill-switches"): lambda ids: {"workflow_id": ids["workflow_id"], "is_active": True, "reason": "x"},
    ("put", "/api/v1/automatic"): lambda ids: {"released": False},
    ("put", "/api/v1/redaction"): lambda ids: {"rules": [{"kind": "CASE", "pattern": "case ([0-9]{6})"}]},
    ("put", "/api/v1/quotas"): lambda ids: {"name": "runs", "per_minute": 5},
    ("post", "/api/v1/principals"): lambda ids: {"name": "another"},
    ("patch", "/api/v1/principals/{principal_id}"): lambda ids: {"name": "renamed"},
    ("post", "/api/v1/tokens"): lambda ids: {"principal": ids["principal_id"], "scopes": ["*"]},
    ("put", "/api/v1/secrets/{environment}/{name}"): lambda ids: {"value": "shh"},
    ("post", "/api/v1/environments"): lambda ids: {"name": "another"},
    ("post", "/api/v1/ai/anomaly/detect"): lambda ids: {"execution_time_s": 930, "failure_count_1h": 4, "cpu_percent": 97},
    ("put", "/api/v1/detectors/{detector}"): lambda ids: {"mode": "shadow"},
    ("put", "/api/v1/log-patterns"): lambda ids: {
        "service": "watched",
        "environment": "prod",
        "expressions": ["%{LOGLEVEL:level} %{GREEDYDATA:message}"],
    },
    ("post", "/api/v1/codec/decode"): lambda ids: {"payloads": []},
}


class Operation(NamedTuple):
    method: str
    path: str
    action: str | None
    has_body: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    def at(self, ids: Ids) -> str:
        """The path with these ids in it."""
        return self.path.format_map(
            {"seq": "1", "environment": "dev", "name": "password", "detector": "burst", "service": "watched"} | dict(ids)
        )

    def body(self, ids: Ids) -> Any:
        """A good body: an object, or a list of them for a batch; None for a route without one."""
        return BODIES[self.key](ids) if self.key in BODIES else None


def operations() -> Iterator[Operation]:
    for path, methods in DOCUMENT["paths"].items():
        for method, found in methods.items():
            yield Operation(method, path, found.get("x-action"), "requestBody" in found)


ALL = tuple(each for each in operations() if each.key not in DOORS)
WITH_BODY = tuple(each for each in ALL if each.has_body)
UNKNOWN = {
    "pipeline_id": f"pip_{'1' * 26}",
    "execution_id": f"exe_{'1' * 26}",
    "incident_id": f"inc_{'1' * 26}",
    "plan_id": f"plan_{'1' * 26}",
    "approval_id": f"apr_{'1' * 26}",
    "connector_id": f"con_{'1' * 26}",
    "event_id": f"evt_{'1' * 26}",
    "workflow_id": f"wfl_{'1' * 26}",
    "decision_id": f"dec_{'1' * 26}",
    "principal_id": f"prn_{'1' * 26}",
    "token_id": f"tok_{'1' * 26}",
    "operation_id": f"opr_{'1' * 26}",
}
"""Ids that nobody has."""


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path.removeprefix('/api/v1')}"
