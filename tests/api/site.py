"""The API on real services and a real database, people who call it, and an incident with everything in it."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import httpx2
from fastapi import FastAPI

from domain.actor import PROVISION
from domain.audit import AuditFilter
from domain.base import ExecutionId, PipelineId, PlanId, PreflightId
from domain.execution import Attempt, AttemptKind, AttemptStatus, Failure
from domain.identity import Caller, Kind, Role
from domain.policy import Tier
from domain.preflight import DryRun, Fidelity, Preflight
from domain.principals import NewPrincipal, NewToken
from domain.refs import IncidentRef, RunRef
from domain.stage import Outcome, StageResult
from services.registry import Services
from storage import executions, plans
from storage.engine import Database, new_id, now
from tests.api.fakes import FakeEngine, RolePolicy
from tests.database import Tenant

V1 = "/api/v1"
EVERY = (Role.OPERATOR, Role.AUTHOR, Role.APPROVER, Role.ADMIN, Role.POLICY_AUTHOR)
NO_DIGEST = "0" * 64


@dataclass
class Person:
    """Somebody with a token."""

    caller: Caller
    token: str
    client: httpx2.AsyncClient

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        sent = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        where = path if path.startswith(("/api", "/v1", "/healthz")) else f"{V1}{path}"
        return await self.client.request(method, where, headers=sent, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return await self.call("POST", path, json=body, **options)

    async def patch(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        return await self.call("PATCH", path, json=body, **options)

    async def put(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        return await self.call("PUT", path, json=body, **options)


@dataclass
class Site:
    app: FastAPI
    services: Services
    database: Database
    engine: FakeEngine
    policy: RolePolicy
    client: httpx2.AsyncClient

    async def person(self, tenant: Tenant, *roles: Role, kind: Kind = Kind.PERSON, scopes: tuple[str, ...] = ("*",)) -> Person:
        owner = None if kind is Kind.PERSON else tenant.admin.id
        wanted = NewPrincipal(kind=kind, name=f"{kind}-{secrets.token_hex(4)}", owner=owner, roles=frozenset(roles))
        principal = await self.services.principals.create(tenant.admin, wanted)
        token = NewToken(principal=principal.id, scopes=scopes)
        async with self.database.transaction(tenant.org) as session:
            issued = await self.services.identity.issue(session, principal, token, issuer=principal.id, actor=PROVISION)
        shown = issued.secret.get_secret_value()
        return Person(await self.services.identity.authenticate(shown), shown, self.client)

    async def audited(self, tenant: Tenant) -> int:
        """How many entries the org's ledger has."""
        page = await self.services.audit.page(tenant.org, AuditFilter(), limit=1)
        return page[0].seq if page else 0


@dataclass
class Incident:
    """A failed run with its incident, plan, preflight and approval; `ids` are named as path and body fields are."""

    by: Person
    ids: dict[str, str] = field(default_factory=dict)


def spec(name: str = "orders", **changes: Any) -> dict[str, Any]:
    """A pipeline file of one stage, as JSON."""
    stage = {"name": "read", "run": ["python", "-m", "read"], "uses": ["column"], "timeout": "20s", "dry_run": True}
    return {
        "pipeline": name,
        "environment": "dev",
        "owner": "data-platform",
        "code": "./src",
        "config": {"column": "value"},
        "stages": [stage],
    } | changes


def code(files: Mapping[str, bytes] = MappingProxyType({"read.py": b"print(1)\n"})) -> dict[str, str]:
    return {path: base64.b64encode(content).decode() for path, content in files.items()}


async def an_incident(site: Site, by: Person) -> Incident:
    """A run of a new pipeline that failed on a service that is away, up to the approval that waits for people."""
    made = Incident(by)
    services = site.services
    pipeline = await by.post("/pipelines", {"spec": spec(f"p-{secrets.token_hex(4)}"), "code": code()})
    made.ids["pipeline_id"] = pipeline.json()["id"]
    run = await by.post(f"/pipelines/{made.ids['pipeline_id']}/runs")
    made.ids["execution_id"] = run.json()["id"]
    execution = ExecutionId.of(run.json()["id"])
    ref = RunRef(org=by.caller.org, pipeline=PipelineId.of(made.ids["pipeline_id"]), execution=execution)
    await services.runs.begin(ref)
    await _failed_attempt(site, ref)
    await services.runs.fail(Failure(ref=ref, stage="read", error_code="exit_1"))
    incident = (await services.runs.get(by.caller, execution)).execution.incident
    assert incident is not None
    made.ids["incident_id"] = incident.shown
    await services.diagnostics.diagnose(IncidentRef(org=by.caller.org, id=incident))
    plan = await by.post("/fix/plan", {"incident_id": incident.shown})
    assert plan.status_code == 201, plan.text
    made.ids["plan_id"] = plan.json()["id"]
    return made


async def preflighted(site: Site, incident: Incident, *, tier: Tier = Tier.HUMAN) -> None:
    """Store the preflight that the engine would make."""
    org, plan = incident.by.caller.org, PlanId.of(incident.ids["plan_id"])
    async with site.database.transaction(org) as session:
        state = await plans.get(session, plan)
        preflight = Preflight(
            id=PreflightId.of(await new_id(session)),
            plan=plan,
            digest=state.digest,
            dry_runs=(DryRun(step=0, fidelity=Fidelity.SIMULATED, passed=True, output="ok"),),
            drift=(),
            refusals=(),
            tier=tier,
            reasons=(),
            policy_revision="test-1",
            valid_until=await now(session) + timedelta(hours=1),
        )
        await plans.add_preflight(session, state, preflight)


async def asked(site: Site, incident: Incident) -> None:
    """Preflight it and ask for an approval."""
    await preflighted(site, incident)
    approval = await incident.by.post("/approvals", {"plan_id": incident.ids["plan_id"]})
    assert approval.status_code == 201, approval.text
    incident.ids["approval_id"] = approval.json()["id"]


async def everything(site: Site, tenant: Tenant) -> Incident:
    """One object of every kind, made by somebody with every role."""
    by = await site.person(tenant, *EVERY)
    made = await an_incident(site, by)
    await asked(site, made)
    named = secrets.token_hex(4)
    event = await by.post("/events", {"event_type": "deploy", "payload": {"n": 1}})
    workflow = await by.post("/workflows", {"name": f"w-{named}"})
    connector = await by.post("/connectors", {"kind": "alertmanager", "name": f"c-{named}"})
    await by.post("/signals/ingest", [{"kind": "log", "text": "x", "service": "watched", "environment": "prod"}])
    decision = await by.get("/decisions?limit=1")
    made.ids |= {
        "event_id": event.json()["event_id"],
        "workflow_id": workflow.json()["id"],
        "connector_id": connector.json()["connector"]["id"],
        "decision_id": decision.json()["items"][0]["id"],
        "principal_id": by.caller.id.shown,
        "token_id": by.caller.token.shown,
        "operation_id": f"opr_{'0' * 26}",
    }
    return made


async def _failed_attempt(site: Site, ref: RunRef) -> None:
    attempt = Attempt(
        org=ref.org,
        execution=ref.execution,
        stage="read",
        number=1,
        kind=AttemptKind.RUN,
        status=AttemptStatus.INTENT,
        config_version=1,
        step_key=f"{ref.execution}/read",
        step_version=NO_DIGEST,
        claim=uuid4(),
    )
    async with site.database.transaction(ref.org) as session:
        at = await now(session)
        result = StageResult(
            outcome=Outcome.FAILED,
            exit_code=1,
            signal=None,
            timed_out=False,
            started_at=at,
            ended_at=at,
            wall=timedelta(seconds=1),
            cpu=timedelta(seconds=1),
            peak_memory=1,
            output_bytes=30,
            output_digest=NO_DIGEST,
            head="HTTP 503 Service Unavailable",
            tail="",
            truncated=False,
        )
        await executions.add_attempt(session, attempt)
        await executions.end_attempt(session, attempt, AttemptStatus.FAILED, result)
