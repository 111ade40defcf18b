"""Each call of the documents that exists so far, sent as printed: none fails for want of something we invented."""

import pytest

from domain.identity import Role
from tests.api.site import Person, Site, an_incident, asked, code, spec
from tests.database import Tenant


async def test_spec_000_pipelines_approvals_audit_and_recovery(site: Site, tenant: Tenant, someone: Person) -> None:
    """Under `/api/v1`, without extra headers."""
    created = await someone.post("/api/v1/pipelines", {"spec": spec("orders"), "code": code()})
    listed = await someone.get("/api/v1/pipelines")
    patched = await someone.patch(f"/api/v1/pipelines/{created.json()['id']}", {"is_active": False})
    incident = await an_incident(site, someone)
    await asked(site, incident)
    approval = await someone.post("/api/v1/approvals", {"plan_id": incident.ids["plan_id"]})
    approver = await site.person(tenant, Role.APPROVER)
    decided = await approver.patch(f"/api/v1/approvals/{approval.json()['id']}", {"status": "approved", "reviewer_notes": "ok"})
    audit = await someone.get(f"/api/v1/audit-logs?trace_id={'0' * 32}")
    replay = await someone.post("/api/v1/recovery/replay", {"execution_id": incident.ids["execution_id"]})

    assert [each.status_code for each in (created, listed, patched)] == [201, 200, 200]
    assert created.json().keys() >= {"id", "name", "owner_id", "config_json", "is_active", "created_at", "updated_at"}
    assert [each.status_code for each in (approval, decided, audit)] == [201, 200, 200]
    assert decided.json().keys() >= {"id", "execution_id", "required_role", "status", "reviewer_id", "reviewer_notes"}
    assert replay.status_code == 409  # the run waits for its healing: a refusal of the world, not of the call


async def test_spec_003_incidents_and_fix(site: Site, tenant: Tenant, someone: Person) -> None:
    """Under `/v1`: open, evidence, plan, preflight, approve, execute with each runner."""
    opened = await someone.post("/v1/incidents/open", {"title": "slow", "service": "shop"})
    incident = await an_incident(site, someone)
    ids = incident.ids
    evidence = await someone.get(f"/v1/incidents/{ids['incident_id']}/evidence")
    planned = await someone.post("/v1/fix/plan", {"incident_id": ids["incident_id"], "mode": "suggest"})
    await asked(site, incident)
    preflight = await someone.post("/v1/fix/preflight", {"plan_id": ids["plan_id"]})
    approver = await site.person(tenant, Role.APPROVER)
    approved = await approver.post("/v1/fix/approve", {"plan_id": ids["plan_id"]})
    executed = {
        runner: (await someone.post("/v1/fix/execute", {"plan_id": ids["plan_id"], "runner": runner})).status_code
        for runner in ("dryrun", "gitops", "agent")
    }

    assert [each.status_code for each in (opened, evidence, planned, preflight, approved)] == [201, 200, 201, 200, 200]
    assert planned.json()["id"] == ids["plan_id"]
    assert executed == {"dryrun": 200, "gitops": 422, "agent": 200}


async def test_spec_004_events_and_workflows(someone: Person) -> None:
    """An event of a workflow, as the ingestion flow describes it; the answer names `event_id`."""
    workflow = (await someone.post("/api/v1/workflows", {"name": "checkout", "description": "payments"})).json()
    event = {
        "workflow_id": workflow["id"],
        "event_type": "payment.failed",
        "payload": {"error_code": "E42"},
        "idempotency_key": "k",
        "occurred_at": "2026-01-01T00:00:00Z",
        "correlation_id": "c",
    }
    received = await someone.post("/api/v1/events", event)
    switch = {"workflow_id": workflow["id"], "is_active": True, "reason": "emergency"}
    engaged = await someone.put("/api/v1/kill-switches", switch)
    refused = await someone.post("/api/v1/events", event | {"idempotency_key": "k2"})
    unknown = await someone.post("/api/v1/events", event | {"workflow_id": f"wfl_{'0' * 26}"})

    assert (received.status_code, "event_id" in received.json()) == (201, True)
    assert (engaged.status_code, engaged.json()["subject"]) == (200, "checkout")
    assert [each.status_code for each in (refused, unknown)] == [409, 404]


async def test_spec_001_monitoring(site: Site, someone: Person) -> None:
    """Under `/api`: what is reported of a pipeline, and how it does of late."""
    incident = await an_incident(site, someone)
    told = await someone.post("/api/monitoring/ingest", [{"kind": "metric", "key": "cpu_percent", "value": 93.5}])
    snapshot = await someone.get(f"/api/monitoring/{incident.ids['pipeline_id']}/snapshot")

    assert (told.status_code, snapshot.status_code) == (200, 200)
    assert snapshot.json().keys() >= {"duration", "failure_rate", "retries", "cpu", "memory", "throughput", "latency", "errors"}


async def test_spec_003_signals(someone: Person) -> None:
    """A bare list of signals, as the table's columns name their parts."""
    signal = {
        "source": "nginx",
        "kind": "log",
        "ts": "2026-01-01T00:00:00Z",
        "key": "error",
        "text": "502",
        "labels": {"pod": "a"},
    }

    answer = await someone.post(
        "/v1/signals/ingest", [signal | {"meta": {"line": 7}}, signal | {"kind": "metric", "value": 2.5}]
    )

    assert (answer.status_code, answer.json()["stored"]) == (200, 2)


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1", "/api"])
async def test_every_prefix_answers_alike(someone: Person, prefix: str) -> None:
    """The same routers under each."""
    for noun in ("pipelines", "executions", "incidents", "events", "approvals", "decisions", "health"):
        assert (await someone.get(f"{prefix}/{noun}")).status_code == 200


async def test_ids_of_the_request_are_told_back(someone: Person) -> None:
    """X-Correlation-ID is taken as X-Request-ID, and both are in the audit entry."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"X-Correlation-ID": "corr-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    response = await someone.post("/workflows", {"name": "traced"}, headers=headers)
    entry = (await someone.get(f"/audit-logs?trace_id={trace}")).json()["items"][0]

    assert response.headers["x-request-id"] == "corr-1"
    assert (entry["correlation_id"], entry["action"]) == ("corr-1", "workflow.created")
